// How a mode looks: always a word and a shape, the colour only on top.

import { s, h, setText } from "./dom.js";

const LOOK = {
  closed: ["Closed", "good", "M3 9a6 6 0 1 0 12 0a6 6 0 1 0-12 0"],
  open: ["Open", "bad", "M3 3h12v12H3z"],
  held: ["Held", "warn", "M9 2l8 14H1z"],
  forced_open: ["Forced open", "bad", "M9 1l8 8-8 8-8-8z"],
  forced_closed: ["Forced closed", "warn", "M9 1l8 8-8 8-8-8z"],
};

export const modeLabel = (mode) => LOOK[mode]?.[0] ?? String(mode ?? "unknown");
export const modeTone = (mode) => LOOK[mode]?.[1] ?? "calm";

/** What a mode means, in a sentence. */
export const MODE_HELP = {
  closed: "Requests are admitted as far as their voltage overcomes the resistance.",
  open: "The breaker is open because of this node's own errors. Only probes pass.",
  held: "Other nodes say that the route fails; this one has not seen otherwise yet. Only probes pass.",
  forced_open: "Refuses everything, by hand.",
  forced_closed: "Admits everything, by hand.",
};

function shape(path) {
  return s("svg", { viewBox: "0 0 18 18", class: "shape", "aria-hidden": "true" }, s("path", { d: path }));
}

/** An element that shows a mode; `setMode` changes what it shows. */
export function modeElement(mode) {
  const element = h("span", { class: "mode" });
  const word = h("span", {});
  element.word = word;
  element.append(shape(""), word);
  if (mode !== undefined) setMode(element, mode);
  return element;
}

export function setMode(element, mode) {
  if (element.shownMode === mode) return;
  element.shownMode = mode;
  element.className = `mode ${modeTone(mode)}`;
  element.firstChild.firstChild.setAttribute("d", LOOK[mode]?.[2] ?? "");
  setText(element.word, modeLabel(mode));
}

export const FLAG_LABELS = ["shadowed", "at rest", "learning"];

/** Flags of a bit set, in words. */
export function flagWords(bits) {
  return FLAG_LABELS.filter((_, i) => bits & (1 << i)).join(", ");
}

export const REASONS = {
  saturated: "The service is saturated, and the voltage does not overcome the queue.",
  scarred: "The scars of past failures, or reported stress, exceed the voltage.",
  breaker_open: "The route's breaker is open; only probes pass.",
  held: "Other nodes say that the route fails, and this one has not seen otherwise yet.",
  forced_open: "An operator closed the route to all requests by hand.",
};

export const CAUSE_LABELS = {
  base: "base",
  saturation: "queue",
  process: "process",
  scar: "own scar",
  cluster_scar: "cluster scar",
  reported: "reported",
};
