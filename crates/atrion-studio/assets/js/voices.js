// What each node says about a route beside what is made of it: the table in which a node that
// poisons the others stands out.

import { h, s } from "./dom.js";
import { number, percent, plain, seconds } from "./format.js";
import { nameElement } from "./text.js";

const BAR = 80;

/** A bar for a scar, with its figure; `of` is the scar that fills it. */
function bar(ohm, of, tone) {
  const wide = of > 0 ? Math.max(ohm > 0 ? 1.5 : 0, Math.min(1, ohm / of) * BAR) : 0;
  const svg = s("svg", { class: `bar ${tone}`, viewBox: `0 0 ${BAR} 10`, "aria-hidden": "true" }, s("rect", { width: wide, height: 10, rx: 2 }));
  return [svg, h("span", { class: "figure" }, number(ohm))];
}

function words(voice) {
  const list = [];
  if (voice.outlier) list.push(["Outlier", "tag bad"]);
  if (voice.is_median) list.push(["Median", "tag good"]);
  if (!voice.votes) list.push(["No vote", "tag"]);
  return list.map(([text, kind]) => h("span", { class: kind }, text));
}

/** The blend in a sentence of figures. */
export function blendLine(cluster) {
  const line = h("p", { class: "blend" });
  const fact = (label, value) => line.append(h("span", {}, `${label} `, h("strong", {}, value)));
  fact("Cluster's word", `${number(cluster.cluster_scar_ohm)} \u03a9`);
  fact("Own scar", `${number(cluster.own_scar_ohm)} \u03a9`);
  fact("Gamma", plain(cluster.gamma));
  fact("Added by others", `${number(cluster.added_ohm)} \u03a9`);
  if (cluster.held) line.append(h("span", { class: "tag warn" }, "Held by hearsay"));
  return line;
}

/** Every node's own scar with its weight in the blend. */
export function voicesTable(cluster, caption) {
  const voices = [...cluster.voices].sort((a, b) => Number(b.outlier) - Number(a.outlier) || b.scar_ohm - a.scar_ohm);
  const highest = voices.reduce((top, voice) => Math.max(top, voice.scar_ohm), cluster.cluster_scar_ohm);
  const rows = voices.map((voice) =>
    h(
      "tr",
      { class: voice.outlier ? "outlier" : null },
      h("th", { scope: "row" }, nodeName(voice.name || voice.node, voice.is_self), words(voice)),
      h("td", { class: "bar-cell" }, bar(voice.scar_ohm, highest, voice.outlier ? "bad" : voice.is_self ? "own" : "calm")),
      h("td", { class: "figure" }, percent(voice.weight)),
      h("td", { class: "figure" }, number(voice.evidence)),
      h("td", { class: "figure" }, number(voice.demand_rate)),
      h("td", {}, voice.stance ?? "\u2013"),
      h("td", { class: "figure" }, seconds(voice.age_secs)),
    ),
  );
  const heads = [["Node"], ["Own scar, \u03a9"], ["Weight", 1], ["Evidence", 1], ["Demand/s", 1], ["Stance"], ["Age", 1]];
  return h(
    "div",
    { class: "scroll-box", tabindex: 0, role: "region", "aria-label": caption },
    h(
      "table",
      { class: "voices" },
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, heads.map(([text, figure]) => h("th", { scope: "col", class: figure ? "figure" : null }, text)))),
      h("tbody", {}, rows),
    ),
  );
}

/** A node's name, and whether it is the one that serves this page. */
export function nodeName(name, isSelf) {
  const element = h("span", { class: "node" }, nameElement(name));
  if (isSelf) element.append(" ", h("span", { class: "tag" }, "This node"));
  return element;
}
