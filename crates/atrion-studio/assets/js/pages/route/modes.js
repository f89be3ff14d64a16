// The modes of a route over time.

import { ModeStrip } from "../../charts.js";
import { h } from "../../dom.js";
import { clock, seconds } from "../../format.js";
import { modeElement } from "../../modes.js";
import { SAMPLE, stretches } from "../../stack.js";

const MOST = 20;

export function modesPanel(session) {
  const strip = new ModeStrip();
  const list = h("ol", { class: "timeline", reversed: true });
  const none = h("p", { class: "soft" }, "No change of mode since this is being watched.");
  const element = h("div", { class: "modes" }, h("h3", {}, "Mode"), strip.element, none, list);
  let shown = "";

  function showList(changes) {
    const stamp = changes.map(({ at_ms: at }) => at).join();
    if (stamp === shown) return;
    shown = stamp;
    none.hidden = changes.length > 0;
    const items = changes.slice(-MOST).toReversed().map(({ at_ms: at, mode }, i, all) => {
      const lasted = i === 0 ? null : (all[i - 1].at_ms - at) / 1000;
      return h("li", {}, h("time", { datetime: new Date(at).toISOString() }, clock(at)), " ", modeElement(mode), lasted === null ? null : h("span", { class: "soft" }, ` for ${seconds(lasted)}`));
    });
    list.replaceChildren(...items);
  }

  return {
    element,
    show(route, samples) {
      const changes = [...(route.modes_timeline ?? [])].sort((a, b) => a.at_ms - b.at_ms);
      showList(changes);
      if (samples.length < 2) return;
      const interval = session.interval_ms;
      const seen = stretches(samples, interval).map((stretch) => ({ ...stretch, mode: session.modes[stretch.mode] }));
      strip.show(seen, samples[0][SAMPLE.at], samples.at(-1)[SAMPLE.at]);
    },
    stop: () => strip.stop(),
  };
}
