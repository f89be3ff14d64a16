// Charts of a route over time. Each has a table beside it that says the same in figures; the canvas
// itself is hidden from assistive technology.

import { h } from "./dom.js";
import { colour, onTheme } from "./theme.js";

const FONT = '11px system-ui, "DejaVu Sans", sans-serif';
/** Room beside the plot, for whatever is to be aligned with it. */
export const LEFT_PX = 44;
export const RIGHT_PX = 28;
const LABEL_PX = 14;

const X_LABELS = (u, splits) => splits.map((at) => time(at));

function time(secs) {
  const t = new Date(secs * 1000);
  return [t.getHours(), t.getMinutes(), t.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
}

/** Areas on top of each other, with lines across and a moment that can be picked. */
export class StackChart {
  /**
   * @param {object} options
   * @param {Array<[string, string, string]>} options.parts key, label, colour of the style sheet
   * @param {number} options.height pixels
   * @param {() => Array<{at: number, label: string, tone: string}>} [options.lines]
   * @param {(highest: number) => number} options.top
   * @param {(index: number|null) => void} [options.onMoment]
   */
  constructor(options) {
    this.options = options;
    this.data = [[]];
    this.element = h("div", { class: "chart", "aria-hidden": "true" });
    this.element.style.height = `${options.height}px`;
    // At the next frame: what is drawn here must not change sizes while they are being told.
    this.sizes = new ResizeObserver(() => requestAnimationFrame(() => this.resize()));
    this.sizes.observe(this.element);
    this.stopTheme = onTheme(() => this.rebuild());
  }

  stop() {
    this.sizes.disconnect();
    this.stopTheme();
    this.chart?.destroy();
    this.chart = null;
  }

  rebuild() {
    this.chart?.destroy();
    this.chart = null;
    this.resize();
  }

  resize() {
    if (!this.element.isConnected) return;
    const width = Math.floor(this.element.clientWidth);
    if (width < 80) return;
    if (this.chart) {
      if (this.chart.width !== width) this.chart.setSize({ width, height: this.options.height });
      return;
    }
    this.chart = new uPlot(this.describe(width), this.data, this.element);
  }

  /** @param {number[]} seconds @param {number[][]} sums from below, as `stacked` makes them */
  show(seconds, sums) {
    // The tallest is drawn first, and each lower one over it.
    this.data = [seconds, ...sums.toReversed()];
    if (this.chart) this.chart.setData(this.data);
    else this.resize();
  }

  /** Marks a moment by its index, or none. */
  mark(index) {
    this.marked = index;
    this.chart?.redraw(false);
  }

  describe(width) {
    const { parts, height, top } = this.options;
    const grid = { stroke: colour("line"), width: 1 };
    const axis = { stroke: colour("ink-soft"), grid, ticks: { show: false }, font: FONT };
    const series = parts.toReversed().map(([, label, paint]) => {
      const stroke = colour(paint);
      return { label, stroke, fill: stroke, width: 0, points: { show: false } };
    });
    return {
      width,
      height,
      padding: [8, RIGHT_PX, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, y: false, points: { show: false } },
      scales: { x: { time: true }, y: { range: (u, low, high) => [0, top(high ?? 0)] } },
      axes: [
        { ...axis, size: 24, space: 90, values: X_LABELS },
        { ...axis, size: LEFT_PX, space: 28 },
      ],
      series: [{}, ...series],
      hooks: {
        setCursor: [(u) => this.options.onMoment?.(u.cursor.idx ?? null)],
        draw: [(u) => this.drawLines(u)],
      },
    };
  }

  drawLines(u) {
    const { ctx, bbox } = u;
    const scale = devicePixelRatio || 1;
    ctx.save();
    ctx.font = FONT.replace("11px", `${11 * scale}px`);
    ctx.textBaseline = "bottom";
    ctx.textAlign = "left";
    ctx.lineWidth = scale;
    const lines = (this.options.lines?.() ?? []).filter((line) => line.at <= u.scales.y.max);
    let above = -Infinity;
    for (const line of lines.sort((a, b) => b.at - a.at)) {
      const y = Math.round(u.valToPos(line.at, "y", true)) + 0.5;
      ctx.setLineDash(line.solid ? [] : [4 * scale, 3 * scale]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      // A light edge, so that a line is seen on any part.
      ctx.strokeStyle = colour("panel");
      ctx.lineWidth = 3 * scale;
      ctx.stroke();
      ctx.strokeStyle = colour(line.tone);
      ctx.lineWidth = scale;
      ctx.stroke();
      // Lines too close for their names keep the name of the upper one.
      if (!line.solid && y - above < LABEL_PX * scale) continue;
      if (!line.solid) above = y;
      const wide = ctx.measureText(line.label).width;
      const x = line.solid ? bbox.left + 6 * scale : bbox.left + bbox.width - wide - 4 * scale;
      ctx.fillStyle = colour("panel");
      ctx.globalAlpha = 0.8;
      ctx.fillRect(x - 3 * scale, y - 15 * scale, wide + 6 * scale, 14 * scale);
      ctx.globalAlpha = 1;
      ctx.fillStyle = colour(line.tone);
      ctx.fillText(line.label, x, y - 2 * scale);
    }
    this.drawMark(u, scale);
    ctx.restore();
  }

  drawMark(u, scale) {
    const at = this.marked === null || this.marked === undefined ? undefined : u.data[0][this.marked];
    if (at === undefined) return;
    const x = Math.round(u.valToPos(at, "x", true)) + 0.5;
    u.ctx.setLineDash([]);
    u.ctx.lineWidth = scale;
    u.ctx.strokeStyle = colour("ink");
    u.ctx.beginPath();
    u.ctx.moveTo(x, u.bbox.top);
    u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
    u.ctx.stroke();
  }
}

const LETTERS = { closed: "", open: "OPEN", held: "HELD", forced_open: "FORCED OPEN", forced_closed: "FORCED CLOSED" };
const TONES = { closed: "good", open: "bad", held: "warn", forced_open: "bad", forced_closed: "warn" };

/** The modes of a route over time as a strip: word, hatching and colour. */
export class ModeStrip {
  constructor() {
    this.element = h("canvas", { class: "mode-strip", "aria-hidden": "true", height: 24 });
    this.stopTheme = onTheme(() => this.draw());
    this.shown = null;
  }

  stop() {
    this.stopTheme();
  }

  show(stretches, from, to) {
    this.shown = { stretches, from, to };
    this.draw();
  }

  draw() {
    const width = this.element.clientWidth;
    if (!this.shown || width === 0) return;
    const scale = devicePixelRatio || 1;
    this.element.width = Math.round(width * scale);
    this.element.height = Math.round(24 * scale);
    const context = this.element.getContext("2d");
    context.scale(scale, scale);
    const { stretches, from, to } = this.shown;
    const room = width - LEFT_PX - RIGHT_PX;
    const x = (at) => LEFT_PX + ((at - from) / Math.max(to - from, 1)) * room;
    for (const stretch of stretches) this.bar(context, stretch, x(stretch.from), x(stretch.to));
  }

  bar(context, { mode }, left, right) {
    const tone = TONES[mode] ?? "calm";
    const wide = Math.max(right - left, 2);
    context.save();
    context.beginPath();
    context.rect(left, 3, wide, 18);
    context.clip();
    context.fillStyle = colour(`${tone}-ground`);
    context.fillRect(left, 3, wide, 18);
    context.fillStyle = colour(tone);
    if (mode !== "closed") this.hatch(context, left, wide, colour(tone));
    context.fillRect(left, 18, wide, 3);
    const text = LETTERS[mode] ?? String(mode);
    context.font = `600 ${FONT}`;
    if (text && context.measureText(text).width + 10 < wide) {
      context.fillStyle = colour(`${tone}-ground`);
      context.fillRect(left + 3, 4, context.measureText(text).width + 6, 13);
      context.fillStyle = colour(tone);
      context.textBaseline = "middle";
      context.fillText(text, left + 6, 11);
    }
    context.restore();
  }

  hatch(context, left, wide, paint) {
    context.strokeStyle = paint;
    context.globalAlpha = 0.45;
    context.lineWidth = 1;
    context.beginPath();
    for (let x = left - 18; x < left + wide; x += 6) {
      context.moveTo(x, 21);
      context.lineTo(x + 18, 3);
    }
    context.stroke();
    context.globalAlpha = 1;
  }
}
