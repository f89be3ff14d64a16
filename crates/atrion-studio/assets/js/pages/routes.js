// All routes, live.

import { announce } from "../announce.js";
import { h, setText } from "../dom.js";
import { count, number, ohms, percent, seconds } from "../format.js";
import { Grid } from "../grid.js";
import { CAUSE_LABELS, flagWords, modeElement, setMode } from "../modes.js";
import { resort, SELECTIONS, SHADOW, sort } from "../order.js";
import { drawSpark, makeSpark } from "../spark.js";
import { putName, visible } from "../text.js";
import { onTheme } from "../theme.js";

export const WALL_OHMS = 1e6;

// What was chosen stays while other pages are looked at.
const kept = { text: "", selection: "all", order: { column: "shed_rate", descending: true }, scroll: 0 };

const SORTS = [
  ["shed_rate", "Refused"],
  ["resistance_ohm", "Resistance"],
  ["admitted_rate", "Admitted"],
  ["in_flight", "In flight"],
  ["error_rate", "Errors"],
  ["service_ms", "Service time"],
  ["mode", "Mode"],
  ["name", "Name"],
];

function columns(app) {
  const { session } = app;
  const value = (slot, column) => app.store.value(slot, column);
  const figure = (key, label, help, text) => ({
    key, label, help, kind: "figure", sortable: true,
    fill: (cell, slot) => setText(cell, text(value(slot, key), slot)),
  });
  const rate = (x) => (x === 0 ? "0" : number(x));
  return [
    {
      key: "name", label: "Route", kind: "route", sortable: true,
      make(cell) {
        cell.link = h("a", { tabindex: -1 });
        cell.bdi = h("bdi", { class: "name" });
        cell.link.append(cell.bdi);
        cell.append(cell.link);
        cell.removeAttribute("tabindex");
      },
      fill(cell, slot) {
        const name = app.store.names[slot];
        putName(cell.bdi, name);
        if (cell.shownId === app.store.ids[slot]) return;
        cell.shownId = app.store.ids[slot];
        cell.link.href = `#/route/${cell.shownId}`;
        cell.link.title = visible(name);
      },
    },
    {
      key: "mode", label: "Mode", kind: "mode-cell", sortable: true,
      make(cell) {
        cell.mode = modeElement();
        cell.flags = h("span", { class: "flags" });
        cell.append(cell.mode, cell.flags);
      },
      fill(cell, slot) {
        setMode(cell.mode, session.modes[value(slot, "mode")]);
        setText(cell.flags, flagWords(value(slot, "flags")));
      },
    },
    figure("resistance_ohm", "R, \u03a9", "Resistance: what the next arrival has to overcome", (x) => ohms(x, WALL_OHMS)),
    {
      key: "cause", label: "Mostly", help: "The largest part of the resistance", kind: "cause",
      fill: (cell, slot) => {
        const cause = session.causes[value(slot, "cause")];
        setText(cell, CAUSE_LABELS[cause] ?? cause ?? "");
      },
    },
    figure("in_flight", "In flight", "Requests being worked on", count),
    figure("admitted_rate", "Admitted/s", "Requests admitted per second", rate),
    {
      ...figure("shed_rate", "Refused/s", "Requests refused per second; in brackets on a shadowed route, which would have refused them", rate),
      fill(cell, slot) {
        const shed = value(slot, "shed_rate");
        const isShadowed = (value(slot, "flags") & SHADOW) !== 0;
        setText(cell, isShadowed && shed > 0 ? `(${rate(shed)})` : rate(shed));
        cell.classList.toggle("strong-bad", shed > 0 && !isShadowed);
      },
    },
    figure("error_rate", "Errors", "Moving share of failed requests", percent),
    figure("service_ms", "Service", "Learned service time without a queue", (x) => (Number.isNaN(x) ? "\u2013" : seconds(x / 1000))),
    {
      key: "past", label: "Lately", help: "Line: admitted per second. Bars: refused per second.", kind: "past",
      make: (cell) => cell.append(makeSpark()),
      fill(cell, slot) {
        drawSpark(cell.firstChild, app.store, slot);
        cell.firstChild.classList.toggle("shadowed", (value(slot, "flags") & SHADOW) !== 0);
      },
    },
  ];
}

const TILES = [
  ["routes", "Routes", count],
  ["admitted_rate", "Admitted/s", number],
  ["shed_rate", "Refused/s", number],
  ["in_flight", "In flight", count],
  ["open", "Open", count],
  ["held", "Held", count],
  ["forced", "Forced", count],
  ["shadow", "Shadowed", count],
];
const ALARMING = new Set(["shed_rate", "open", "held"]);

function tiles() {
  const list = h("dl", { class: "tiles" });
  const values = TILES.map(([key, label, text]) => {
    const value = h("dd", {});
    const tile = h("div", {}, h("dt", {}, label), value);
    list.append(tile);
    return (totals) => {
      setText(value, text(totals[key]));
      tile.classList.toggle("alarm", ALARMING.has(key) && totals[key] > 0);
    };
  });
  return { element: list, show: (totals) => values.forEach((set) => set(totals)) };
}

export function routesPage(app) {
  const top = tiles();
  const found = h("p", { class: "soft found" });
  const held = h("p", { class: "soft found", id: "order-state" });
  const empty = h("p", { class: "empty", hidden: true });
  const search = h("input", { type: "search", id: "find", value: kept.text, placeholder: "Part of a name", autocomplete: "off", spellcheck: "false" });
  const selection = h("select", { id: "selection" }, Object.entries(SELECTIONS).map(([key, [label]]) => h("option", { value: key, selected: key === kept.selection }, label)));
  const by = h("select", { id: "by" }, SORTS.map(([key, label]) => h("option", { value: key }, label)));
  const way = h("button", { type: "button", id: "way" });
  const grid = new Grid({
    label: "Routes",
    hint: "grid-help",
    columns: columns(app),
    onSort: (column) => setOrder({ column, descending: column === kept.order.column ? !kept.order.descending : column !== "name" }),
    onOpen: (slot) => {
      location.hash = `#/route/${app.store.ids[slot]}`;
    },
  });
  const help = h("p", { id: "grid-help", class: "soft foot" }, "Arrow keys move through the table, Page Up and Down, Home and End too; Enter opens a route, or sorts in the first row. While the pointer or the focus is on a row the order stands still.");
  const toolbar = h(
    "form",
    { class: "toolbar", role: "search", "aria-label": "Routes", submit: (event) => event.preventDefault() },
    h("label", { for: "find" }, "Find", search),
    h("label", { for: "selection" }, "Show", selection),
    h("label", { for: "by" }, "Sort by", by),
    way,
    found,
    held,
  );
  const element = h("div", { class: "page fill" }, h("h1", {}, "Routes"), h("section", { "aria-label": "Totals" }, top.element), toolbar, h("div", { class: "grid-frame" }, grid.element, empty), help);

  let items = [];
  let isPointed = false;
  let epoch = app.store.epoch;
  grid.body.addEventListener("pointerenter", () => (isPointed = true));
  grid.body.addEventListener("pointerleave", () => (isPointed = false));

  function setOrder(order) {
    kept.order = order;
    showOrder();
    items = sort(app.store, items, order);
    grid.setItems(items);
    announce(`Sorted by ${label(order.column)}, ${order.descending ? "highest first" : "lowest first"}`);
  }

  const label = (column) => SORTS.find(([key]) => key === column)?.[1] ?? column;

  function showOrder() {
    by.value = kept.order.column;
    setText(way, kept.order.descending ? "\u2193 Highest first" : "\u2191 Lowest first");
    grid.setOrder(kept.order);
  }

  function filter() {
    kept.text = search.value;
    kept.selection = selection.value;
    grid.element.scrollTop = 0;
    renew([]);
    announce(`${count(items.length)} of ${count(app.store.count)} routes`);
  }

  function renew(previous) {
    items = resort(app.store, app.session.modes, kept, kept.order, previous);
    showItems();
  }

  function showItems() {
    grid.setItems(items);
    setText(found, `${count(items.length)} of ${count(app.store.count)}`);
    empty.hidden = items.length > 0;
    if (items.length === 0) setText(empty, emptyWords());
  }

  const emptyWords = () => {
    if (app.store.seq === null) return "Waiting for the first figures.";
    if (app.store.count === 0) return "No routes yet. One appears as soon as the application asks for it.";
    return "No route matches.";
  };

  search.addEventListener("input", filter);
  selection.addEventListener("change", filter);
  by.addEventListener("change", () => setOrder({ column: by.value, descending: by.value !== "name" }));
  way.addEventListener("click", () => setOrder({ ...kept.order, descending: !kept.order.descending }));
  grid.element.addEventListener("scroll", () => (kept.scroll = grid.element.scrollTop), { passive: true });
  const stopTheme = onTheme(() => showItems());

  return {
    title: "Routes",
    element,
    grid,
    start() {
      showOrder();
      renew([]);
      this.onData();
      grid.element.scrollTop = kept.scroll;
    },
    onData() {
      if (app.store.totals) top.show(app.store.totals);
      if (epoch !== app.store.epoch) items = [];
      epoch = app.store.epoch;
      const isHeld = items.length > 0 && (isPointed || grid.hasFocus);
      setText(held, isHeld ? "Order held" : "");
      if (isHeld) {
        items = items.filter((slot) => app.store.names[slot] !== undefined);
        showItems();
      } else {
        renew(items);
      }
    },
    stop() {
      stopTheme();
      grid.stop();
    },
  };
}

