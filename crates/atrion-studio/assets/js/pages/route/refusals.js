// Recent refusals, each with what it was told and why.

import { h } from "../../dom.js";
import { clock, ohms, plain, seconds } from "../../format.js";
import { CAUSE_LABELS, REASONS } from "../../modes.js";
import { visible } from "../../text.js";

const MOST = 50;
const CAUSES = ["base", "saturation", "process", "scar", "cluster_scar", "reported"];

export function refusalsPanel() {
  const body = h("tbody", {});
  const none = h("p", { class: "soft" }, "Nothing was refused lately.");
  const table = h(
    "div",
    { class: "scroll-box tall", tabindex: 0, role: "region", "aria-label": "Recent refusals", hidden: true },
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, "Recent refusals, newest first"),
      h("thead", {}, h("tr", {}, [["Time"], ["Why"], ["V", 1], ["R, \u03a9", 1], ["Made of"], ["Retry in", 1]].map(([text, figure]) => h("th", { scope: "col", class: figure ? "figure" : null }, text)))),
      body,
    ),
  );
  const element = h("section", { class: "panel", "aria-labelledby": "refusals-title" }, h("h2", { id: "refusals-title" }, "Recent refusals, explained"), none, table);
  let waiting = [];

  return {
    element,
    /** The whole list, newest first. */
    replace(list) {
      waiting = list.slice(0, MOST);
      body.replaceChildren();
    },
    /** Newer ones. */
    add(list) {
      waiting = [...list, ...waiting].sort((a, b) => b.at_ms - a.at_ms).slice(0, MOST);
    },
    show() {
      if (waiting.length === 0) return;
      body.prepend(...waiting.map(row));
      waiting = [];
      while (body.rows.length > MOST) body.lastChild.remove();
      none.hidden = true;
      table.hidden = false;
    },
  };
}

function row(refusal) {
  const parts = CAUSES.map((key, i) => [CAUSE_LABELS[key], refusal.parts_ohm?.[i] ?? 0])
    .filter(([, value]) => value > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([label, value]) => `${label} ${ohms(value, 1e6)}`)
    .join(" + ");
  return h(
    "tr",
    {},
    h("td", { class: "figure time" }, h("time", { datetime: new Date(refusal.at_ms).toISOString() }, clock(refusal.at_ms))),
    h("td", { title: visible(refusal.text ?? "") }, h("strong", {}, refusal.reason.replaceAll("_", " ")), refusal.shadow ? h("span", { class: "tag" }, "Shadow: admitted") : null, h("br", {}), h("span", { class: "soft" }, REASONS[refusal.reason] ?? "")),
    h("td", { class: "figure" }, plain(refusal.volt)),
    h("td", { class: "figure" }, ohms(refusal.resistance_ohm, 1e6)),
    h("td", {}, parts),
    h("td", { class: "figure" }, seconds(refusal.retry_after_ms / 1000)),
  );
}
