// The nodes, their links, and what each says of the routes in trouble.

import { get } from "../api.js";
import { described, h, setText } from "../dom.js";
import { count, percent, plain, seconds } from "../format.js";
import { nameElement, visible } from "../text.js";
import { blendLine, nodeName, voicesTable } from "../voices.js";

const LOOK_MS = 1000;
const FACTS = [
  ["provider", "Provider"],
  ["gamma", "Gamma", "How much the cluster's word weighs against this node's own"],
  ["lag", "Last exchange", "Time since the last exchange that worked"],
  ["sent", "Pulses sent"],
  ["failed", "Failed"],
  ["pending", "Waiting to be sent"],
  ["dropped", "Dropped"],
];
const LINKS = { up: ["Up", "good"], quiet: ["Quiet", "warn"], lossy: ["Lossy", "warn"] };
const HEADS = [["Node"], ["Link"], ["Last heard", 1], ["Routes", 1], ["Complaints", 1], ["Frames", 1], ["Lost", 1], ["Outlier on", 1]];

export function clusterPage(app) {
  const facts = described(FACTS);
  const trouble = h("p", { class: "notice warn", hidden: true });
  const body = h("tbody", {});
  const none = h("p", { class: "empty", hidden: true });
  const table = h(
    "div",
    { class: "scroll-box", tabindex: 0, role: "region", "aria-label": "Nodes" },
    h("table", { class: "nodes" }, h("caption", { class: "unseen" }, "Nodes of the cluster"), h("thead", {}, h("tr", {}, HEADS.map(([text, figure]) => h("th", { scope: "col", class: figure ? "figure" : null }, text)))), body),
  );
  const routes = h("div", { class: "troubled" });
  const calm = h("p", { class: "soft" });
  const element = h(
    "div",
    { class: "page" },
    h("h1", {}, "Cluster"),
    trouble,
    h("section", { class: "panel", "aria-label": "Exchange with the provider" }, facts.element),
    h("section", { class: "panel", "aria-labelledby": "nodes-title" }, h("h2", { id: "nodes-title" }, "Nodes"), none, table),
    h("section", { "aria-labelledby": "said-title" }, h("h2", { id: "said-title" }, "Routes in trouble, and who says so"), calm, routes),
  );
  const view = { timer: 0, controller: new AbortController(), said: null };

  async function look() {
    try {
      view.said = await get("cluster", view.controller.signal);
      if (!app.paused && !document.hidden) draw(view.said);
    } catch (error) {
      if (view.controller.signal.aborted) return;
      // The notice at the top says what is wrong with the connection.
    }
    if (!view.controller.signal.aborted) view.timer = setTimeout(look, LOOK_MS);
  }

  function draw(said) {
    trouble.hidden = !said.trouble;
    if (said.trouble) setText(trouble, visible(said.trouble));
    facts.set("provider", said.provider);
    facts.set("gamma", said.gamma === null ? "\u2013" : plain(said.gamma));
    const pulse = said.pulse ?? {};
    facts.set("lag", pulse.last_success_ms === null || pulse.last_success_ms === undefined ? "\u2013" : `${seconds(pulse.last_success_ms / 1000)} ago`);
    for (const key of ["sent", "failed", "pending", "dropped"]) facts.set(key, count(pulse[key]));
    drawNodes(said.nodes);
    drawTroubled(said.troubled);
  }

  function drawNodes(nodes) {
    none.hidden = nodes.length > 0;
    table.hidden = nodes.length === 0;
    if (nodes.length === 0) setText(none, "This instance stands alone: no provider tells nodes apart.");
    nodes.forEach((node, i) => fillNode(body.rows[i] ?? newRow(), node));
    while (body.rows.length > nodes.length) body.lastChild.remove();
  }

  function newRow() {
    const row = h("tr", {}, h("th", { scope: "row" }), HEADS.slice(1).map(([, figure]) => h("td", { class: figure ? "figure" : null })));
    body.append(row);
    return row;
  }

  function fillNode(row, node) {
    const cells = row.children;
    const name = node.name || node.id;
    if (row.shown !== name + node.is_self) {
      row.shown = name + node.is_self;
      cells[0].replaceChildren(nodeName(name, node.is_self));
    }
    const [word, tone] = LINKS[node.link] ?? [node.link, "calm"];
    if (cells[1].shown !== word) {
      cells[1].shown = word;
      cells[1].replaceChildren(h("span", { class: `tag ${tone}` }, word));
    }
    const figures = [
      node.is_self ? "\u2013" : `${seconds(node.silent_secs)} ago`,
      count(node.routes),
      count(node.complaints),
      count(node.frames),
      `${count(node.lost)} (${percent(node.loss)})`,
      node.outlier_routes > 0 ? `${count(node.outlier_routes)} route${node.outlier_routes === 1 ? "" : "s"}` : "none",
    ];
    figures.forEach((text, i) => setText(cells[i + 2], text));
    row.classList.toggle("outlier", node.outlier_routes > 0);
    cells[7].classList.toggle("strong-bad", node.outlier_routes > 0);
  }

  function drawTroubled(list) {
    setText(calm, list.length === 0 ? "No route is open, held or complained about." : "The lower median of the votes is the cluster's word. A node far from the others is marked as an outlier: look at that node first.");
    const stamp = JSON.stringify(list);
    if (routes.stamp === stamp || routes.contains(document.activeElement)) return;
    routes.stamp = stamp;
    routes.replaceChildren(...list.map((route) => troubled(route)));
  }

  return {
    title: "Cluster",
    element,
    start: look,
    onData: () => view.said && draw(view.said),
    stop() {
      clearTimeout(view.timer);
      view.controller.abort();
    },
  };
}

function troubled({ id, name, cluster }) {
  return h(
    "article",
    { class: "panel" },
    h("h3", {}, h("a", { href: `#/route/${id}` }, nameElement(name))),
    blendLine(cluster),
    voicesTable(cluster, `What each node says about ${visible(name)}`),
  );
}
