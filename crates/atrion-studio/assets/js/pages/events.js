// What happened, newest first.

import { announce } from "../announce.js";
import { h, setText } from "../dom.js";
import { count, dateTime } from "../format.js";
import { Log } from "../log.js";
import { nameElement, visible } from "../text.js";

const MOST = 1000;
const SHOWN = 200;
const KINDS = { mode: "Mode", held: "Hearsay", evicted: "Forgotten", reloaded: "Config", pulse: "Exchange", link: "Link", node: "Node", license: "Licence", action: "Action", studio: "Studio" };
const SEVERITY = { info: ["Info", "calm"], warning: ["Warning", "warn"], error: ["Error", "bad"] };

export function eventsPage(app) {
  const log = new Log("events", "events", MOST);
  const kind = h("select", { id: "kind" }, h("option", { value: "" }, "All kinds"), Object.entries(KINDS).map(([key, label]) => h("option", { value: key }, label)));
  const least = h("select", { id: "least" }, h("option", { value: "" }, "All"), h("option", { value: "warning" }, "Warnings and errors"), h("option", { value: "error" }, "Errors"));
  const text = h("input", { type: "search", id: "find-event", placeholder: "Part of a name or text", autocomplete: "off" });
  const found = h("p", { class: "soft found" });
  const body = h("tbody", {});
  const more = h("button", { type: "button", hidden: true, click: showMore }, "Show more");
  const lost = h("p", { class: "notice warn", hidden: true }, "Some events came faster than they were read and are not shown.");
  const element = h(
    "div",
    { class: "page" },
    h("h1", {}, "Events"),
    h("form", { class: "toolbar", role: "search", "aria-label": "Events", submit: (event) => event.preventDefault() }, h("label", { for: "find-event" }, "Find", text), h("label", { for: "kind" }, "Kind", kind), h("label", { for: "least" }, "Severity", least), found),
    lost,
    h(
      "div",
      { class: "panel flush" },
      h("div", { class: "scroll-box", tabindex: 0, role: "region", "aria-label": "Events" }, h("table", { class: "log" }, h("caption", { class: "unseen" }, "Events, newest first"), h("thead", {}, h("tr", {}, ["Time", "Severity", "Kind", "Route", "What happened"].map((head) => h("th", { scope: "col" }, head)))), body)),
    ),
    more,
  );
  const view = { controller: new AbortController(), shown: SHOWN };

  const matches = (event) => {
    const wanted = text.value.trim().toLowerCase();
    if (kind.value && event.kind !== kind.value) return false;
    if (least.value === "error" && event.severity !== "error") return false;
    if (least.value === "warning" && event.severity === "info") return false;
    return wanted === "" || `${event.name ?? ""} ${event.text}`.toLowerCase().includes(wanted);
  };

  function draw() {
    const list = log.entries.filter(matches);
    const known = new Map([...body.rows].map((row) => [row.seq, row]));
    body.replaceChildren(...list.slice(0, view.shown).map((event) => known.get(event.seq) ?? row(event)));
    setText(found, `${count(list.length)} of ${count(log.entries.length)}`);
    more.hidden = list.length <= view.shown;
    lost.hidden = !log.lost;
  }

  function showMore() {
    view.shown += SHOWN;
    draw();
  }

  function refilter() {
    view.shown = SHOWN;
    draw();
    announce(found.textContent);
  }

  async function look() {
    try {
      if (await log.renew(view.controller.signal)) draw();
    } catch {
      // The notice at the top says what is wrong with the connection; the next figures ask again.
    }
  }

  for (const field of [kind, least]) field.addEventListener("change", refilter);
  text.addEventListener("input", refilter);

  return {
    title: "Events",
    element,
    start() {
      look();
      draw();
    },
    onData() {
      if (app.store.health.event_seq !== log.next) look();
    },
    stop: () => view.controller.abort(),
  };
}

function row(event) {
  const [word, tone] = SEVERITY[event.severity] ?? [event.severity, "calm"];
  const named = event.name ? (event.route ? h("a", { href: `#/route/${event.route}` }, nameElement(event.name)) : nameElement(event.name)) : "";
  const made = h(
    "tr",
    {},
    h("td", { class: "figure time" }, h("time", { datetime: new Date(event.at_ms).toISOString() }, dateTime(event.at_ms))),
    h("td", {}, h("span", { class: `tag ${tone}` }, word)),
    h("td", {}, KINDS[event.kind] ?? event.kind),
    h("td", { class: "name-cell" }, named),
    h("td", {}, h("bdi", {}, visible(event.text))),
  );
  made.seq = event.seq;
  return made;
}
