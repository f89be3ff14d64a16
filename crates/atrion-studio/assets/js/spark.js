// Little charts in the rows of a table; the figures beside them say the same.

import { s } from "./dom.js";
import { PAST } from "./store.js";

const WIDTH = 96;
const HEIGHT = 20;
const STEP = WIDTH / (PAST - 1);

/** An empty one. */
export function makeSpark() {
  const bars = s("path", { class: "spark-refused" });
  const line = s("path", { class: "spark-admitted" });
  const svg = s("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, bars, line);
  return Object.assign(svg, { bars, line });
}

/** Draws the rates of a row: admitted as a line, refused as bars from below. */
export function drawSpark(svg, store, slot) {
  const stamp = `${store.ids[slot]}:${store.seq}`;
  if (svg.stamp === stamp) return;
  svg.stamp = stamp;
  const from = slot * PAST;
  let top = 1;
  for (let i = 0; i < PAST; i += 1) {
    top = Math.max(top, store.admitted[from + i] + store.shed[from + i]);
  }
  const y = (value) => (HEIGHT - 1.5 - (value / top) * (HEIGHT - 4)).toFixed(1);
  let line = "";
  let bars = "";
  for (let i = 0; i < PAST; i += 1) {
    const at = from + ((store.turn + 1 + i) % PAST);
    const x = (i * STEP).toFixed(1);
    line += `${i === 0 ? "M" : "L"}${x} ${y(store.admitted[at])}`;
    if (store.shed[at] > 0) bars += `M${x} ${HEIGHT}V${y(store.shed[at])}`;
  }
  svg.line.setAttribute("d", line);
  svg.bars.setAttribute("d", bars);
}
