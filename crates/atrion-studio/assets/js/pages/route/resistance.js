// Resistance over time, stacked into its parts, against the voltages and the break line.

import { StackChart } from "../../charts.js";
import { h, setAttribute, setText } from "../../dom.js";
import { ohms, percent, plain, seconds } from "../../format.js";
import { ceiling, PARTS, partsOf, SAMPLE, stacked, totalOf } from "../../stack.js";

const HEIGHT = 260;

/** Says so where the chart does not reach as far as the resistance does. */
function cut(samples, tiers) {
  const most = ceiling(Infinity, tiers);
  return samples.some((sample) => totalOf(sample) > most) ? ` The chart ends at ${plain(most)}: no voltage reaches higher.` : "";
}

/** @param {HTMLElement} below what shares the chart's axis of time */
export function resistancePanel(session, below) {
  let lines = [];
  let picked = null;
  let shown = { samples: [] };

  const chart = new StackChart({
    parts: PARTS,
    height: HEIGHT,
    lines: () => lines,
    top: (highest) => ceiling(highest, session.tiers),
    onMoment: (index) => {
      if (!slider.matches(":focus")) pick(index, false);
    },
  });
  const caption = h("caption", {});
  const cells = PARTS.map(() => [h("td", { class: "figure" }), h("td", { class: "figure" })]);
  const rows = PARTS.map(([key, label, , help], i) =>
    h("tr", {}, h("th", { scope: "row", title: help }, h("span", { class: `swatch part-${key}`, "aria-hidden": "true" }), label), ...cells[i]),
  );
  const total = [h("td", { class: "figure" }), h("td", { class: "figure" })];
  const table = h(
    "table",
    { class: "parts" },
    caption,
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Part"), h("th", { scope: "col", class: "figure" }, "\u03a9"), h("th", { scope: "col", class: "figure" }, "Share"))),
    // As they are stacked: the topmost first.
    h("tbody", {}, rows.toReversed()),
    h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "Resistance"), ...total)),
  );
  const slider = h("input", { type: "range", id: "moment", min: 0, max: 0, value: 0, step: 1 });
  const back = h("button", { type: "button", hidden: true, click: () => pick(null, true) }, "Back to now");
  const bands = h("p", { class: "soft" });
  const element = h(
    "section",
    { class: "panel split", "aria-labelledby": "resistance-title" },
    h("div", { class: "wide" }, h("h2", { id: "resistance-title" }, "Resistance and its parts"), chart.element, below, h("div", { class: "moment" }, h("label", { for: "moment" }, "Look back"), slider, back), bands),
    h("div", { class: "side" }, table),
  );
  slider.addEventListener("input", () => {
    const last = shown.samples.length - 1;
    pick(Number(slider.value) >= last ? null : Number(slider.value), true);
  });

  /** Shows the figures of a moment instead of the present ones. */
  function pick(index, byHand) {
    picked = index;
    chart.mark(byHand ? index : null);
    showFigures();
  }

  function showFigures() {
    const { samples } = shown;
    const last = samples.length - 1;
    const index = picked === null ? last : Math.min(picked, last);
    const sample = samples[index];
    if (!sample) return;
    const ago = (samples[last][SAMPLE.at] - sample[SAMPLE.at]) / 1000;
    const moment = picked === null || ago <= 0 ? "now" : `${seconds(Math.round(ago))} ago`;
    const parts = partsOf(sample);
    const sum = parts.reduce((a, b) => a + b, 0);
    setText(caption, `Parts of the resistance, ${moment}`);
    parts.forEach((part, i) => {
      setText(cells[i][0], ohms(part, 1e6));
      setText(cells[i][1], sum > 0 ? percent(part / sum) : "\u2013");
      rows[i].classList.toggle("nothing", part === 0);
    });
    setText(total[0], ohms(sum, 1e6));
    setText(total[1], "");
    back.hidden = picked === null;
    slider.max = Math.max(last, 0);
    if (picked === null || !slider.matches(":focus")) slider.value = index;
    setAttribute(slider, "aria-valuetext", moment);
  }

  return {
    element,
    show(route, samples) {
      const grew = samples.length - shown.samples.length;
      shown = { samples: samples.slice() };
      lines = session.tiers.map(({ name, volt }) => ({ at: volt, label: `${name} ${plain(volt)} V`, tone: "ink-soft" }));
      const { bands: said } = route;
      if (said) {
        lines.push({ at: said.open_ohm, label: `breaker opens at ${plain(said.open_ohm)} \u03a9 of scar`, tone: "bad", solid: true });
        setText(bands, `A request flows if its voltage is above the resistance: ${session.tiers.map((tier) => `${tier.name} ${plain(tier.volt)} V`).join(", ")}. The breaker opens at ${plain(said.open_ohm)} \u03a9 of own scar and an error rate above ${percent(said.error_critical)}, and closes below ${plain(said.close_ohm)} \u03a9.${cut(samples, session.tiers)}`);
      }
      // What is looked at stays the same moment while new ones come.
      if (picked !== null && grew === 0 && samples.length > 1) picked = Math.max(0, picked - 1);
      const times = samples.map((sample) => sample[SAMPLE.at] / 1000);
      chart.show(times, stacked(samples, partsOf, PARTS.length));
      showFigures();
    },
    stop: () => chart.stop(),
  };
}
