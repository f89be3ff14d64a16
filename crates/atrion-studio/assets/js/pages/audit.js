// What was done by hand, by whom, and how it ended.

import { h, setText } from "../dom.js";
import { dateTime } from "../format.js";
import { ACTIONS } from "../dialog.js";
import { Log } from "../log.js";
import { nameElement, visible } from "../text.js";

const MOST = 1000;
const OUTCOMES = { done: ["Done", "good"], state_changed: ["Not done: state had changed", "warn"], expired: ["Ended by itself", "calm"] };

export function auditPage(app) {
  const { session } = app;
  if (!session.actions) return readOnly();
  const log = new Log("audit", "entries", MOST);
  const body = h("tbody", {});
  const none = h("p", { class: "empty" }, "Nothing has been done by hand.");
  const table = h(
    "div",
    { class: "scroll-box", tabindex: 0, role: "region", "aria-label": "Audit log", hidden: true },
    h("table", { class: "log" }, h("caption", { class: "unseen" }, "Actions, newest first"), h("thead", {}, h("tr", {}, ["Time", "Action", "Route", "What", "Reason", "From", "Outcome"].map((head) => h("th", { scope: "col" }, head)))), body),
  );
  const element = h(
    "div",
    { class: "page" },
    h("h1", {}, "Actions"),
    h("p", { class: "soft" }, "Routes are opened, closed, reset and shadowed on their own pages, and a configuration is applied on ", h("a", { href: "#/config" }, "Config"), ". Every action asks for confirmation, and is written down here."),
    h("section", { class: "panel flush", "aria-labelledby": "audit-title" }, h("h2", { id: "audit-title" }, "Audit log"), none, table),
  );
  const controller = new AbortController();

  async function look() {
    try {
      if (await log.renew(controller.signal)) draw();
    } catch {
      // The notice at the top says what is wrong with the connection; the next figures ask again.
    }
  }

  function draw() {
    const known = new Map([...body.rows].map((row) => [row.seq, row]));
    body.replaceChildren(...log.entries.map((entry) => known.get(entry.seq) ?? row(entry)));
    none.hidden = log.entries.length > 0;
    table.hidden = log.entries.length === 0;
    setText(none, "Nothing has been done by hand.");
  }

  return {
    title: "Actions",
    element,
    start: look,
    onData() {
      if (app.store.health.audit_seq !== log.next) look();
    },
    stop: () => controller.abort(),
  };
}

function readOnly() {
  const words = "This Studio is read only: it shows everything and changes nothing. Whoever set it up can allow actions (force open, force closed, reset scar, shadow, reload).";
  return { title: "Actions", element: h("div", { class: "page narrow" }, h("h1", {}, "Actions"), h("p", { class: "notice info" }, words)) };
}

function row(entry) {
  const [word, tone] = OUTCOMES[entry.outcome] ?? [entry.outcome, "calm"];
  const made = h(
    "tr",
    {},
    h("td", { class: "figure time" }, h("time", { datetime: new Date(entry.at_ms).toISOString() }, dateTime(entry.at_ms))),
    h("td", {}, ACTIONS[entry.action]?.label ?? entry.action),
    h("td", { class: "name-cell" }, entry.name ? nameElement(entry.name) : ""),
    h("td", {}, h("bdi", {}, visible(entry.summary ?? ""))),
    h("td", {}, h("bdi", {}, entry.reason ? visible(entry.reason) : "")),
    h("td", {}, entry.from ?? ""),
    h("td", {}, h("span", { class: `tag ${tone}` }, word)),
  );
  made.seq = entry.seq;
  return made;
}
