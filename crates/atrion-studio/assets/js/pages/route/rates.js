// Admitted and refused requests per priority.

import { StackChart } from "../../charts.js";
import { h, setText } from "../../dom.js";
import { number, percent, plain } from "../../format.js";
import { SAMPLE, stacked } from "../../stack.js";

const HEIGHT = 150;

export function ratesPanel(session) {
  const { tiers } = session;
  const parts = tiers.map((tier, i) => [tier.name, tier.name, `tier-${i % 5}`]);
  const top = (highest) => Math.max(1, highest * 1.1);
  const admitted = new StackChart({ parts, height: HEIGHT, top });
  const refused = new StackChart({ parts, height: HEIGHT, top });
  const cells = tiers.map(() => [0, 1, 2].map(() => h("td", { class: "figure" })));
  const rows = tiers.map((tier, i) =>
    h("tr", {}, h("th", { scope: "row" }, h("span", { class: `swatch tier-${i % 5}`, "aria-hidden": "true" }), tier.name, h("span", { class: "soft" }, ` ${plain(tier.volt)} V`)), ...cells[i]),
  );
  const table = h(
    "table",
    { class: "parts" },
    h("caption", {}, "Requests per second, now"),
    h("thead", {}, h("tr", {}, ["Priority", "Admitted", "Refused", "Share"].map((text, i) => h("th", { scope: "col", class: i ? "figure" : null }, text)))),
    h("tbody", {}, rows.toReversed()),
  );
  const missing = h("p", { class: "soft", hidden: true }, "This server keeps no counts per priority.");
  const charts = h("div", { class: "wide" }, h("h2", { id: "rates-title" }, "Admitted and refused per priority"), missing, h("h3", {}, "Admitted per second"), admitted.element, h("h3", {}, "Refused per second"), refused.element);
  const element = h("section", { class: "panel split", "aria-labelledby": "rates-title" }, charts, h("div", { class: "side" }, table));

  return {
    element,
    show(_route, samples) {
      const last = samples.at(-1);
      if (!last) return;
      missing.hidden = Array.isArray(last[SAMPLE.admitted]);
      table.hidden = !missing.hidden;
      const times = samples.map((sample) => sample[SAMPLE.at] / 1000);
      admitted.show(times, stacked(samples, (sample) => sample[SAMPLE.admitted], tiers.length));
      refused.show(times, stacked(samples, (sample) => sample[SAMPLE.shed], tiers.length));
      tiers.forEach((_, i) => {
        const [yes, no] = [last[SAMPLE.admitted]?.[i] ?? 0, last[SAMPLE.shed]?.[i] ?? 0];
        setText(cells[i][0], number(yes));
        setText(cells[i][1], number(no));
        setText(cells[i][2], yes + no > 0 ? percent(no / (yes + no)) : "\u2013");
        cells[i][1].classList.toggle("strong-bad", no > 0);
      });
    },
    stop() {
      admitted.stop();
      refused.stop();
    },
  };
}
