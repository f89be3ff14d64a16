// The configuration in force beside what was shipped and what was before, and a new one.

import { get } from "../api.js";
import { act } from "../dialog.js";
import { h, setText } from "../dom.js";
import { editor } from "../editor.js";
import { count, dateTime, plain } from "../format.js";

const LOOK_MS = 2000;

const shown = (value) => (value === null || value === undefined ? "\u2013" : typeof value === "number" ? plain(value) : String(value));

export function configPage(app) {
  const { session } = app;
  const said = h("p", { class: "soft" });
  const which = h("select", { id: "which" }, h("option", { value: "all" }, "All fields"), h("option", { value: "differs" }, "Other than shipped"), h("option", { value: "changed" }, "Changed by the last reload"));
  const find = h("input", { type: "search", id: "find-field", placeholder: "Part of a field", autocomplete: "off" });
  const body = h("tbody", {});
  const none = h("p", { class: "empty", hidden: true }, "No field matches.");
  const table = h(
    "div",
    { class: "scroll-box tall", tabindex: 0, role: "region", "aria-label": "Fields" },
    h("table", { class: "fields" }, h("caption", { class: "unseen" }, "Fields of the configuration"), h("thead", {}, h("tr", {}, [["Field"], ["In force", 1], ["As shipped", 1], ["Before the last reload", 1], ["Notes"]].map(([text, figure]) => h("th", { scope: "col", class: figure ? "figure" : null }, text)))), body),
  );
  const edit = session.actions || session.preview ? editPart() : null;
  const element = h(
    "div",
    { class: "page" },
    h("h1", {}, "Config"),
    said,
    h("form", { class: "toolbar", role: "search", "aria-label": "Fields", submit: (event) => event.preventDefault() }, h("label", { for: "find-field" }, "Find", find), h("label", { for: "which" }, "Show", which)),
    h("div", { class: "panel flush" }, table, none),
    edit?.element ?? h("p", { class: "soft" }, "This Studio is read only: a new configuration cannot be applied from here."),
  );
  const view = { timer: 0, controller: new AbortController(), answer: null, stamp: "" };

  function editPart() {
    const apply = h("button", { type: "button", class: "main", id: "apply", disabled: true }, "Apply\u2026");
    const undo = h("button", { type: "button", id: "undo" }, "Start again");
    let wanted = null;
    const field = editor({
      id: "new-config",
      canCheck: session.preview,
      onChange(config, changes) {
        wanted = config && changes.length > 0 ? config : null;
        apply.disabled = wanted === null;
      },
    });
    apply.addEventListener("click", () => act("reload", { config: wanted, limits: session.limits, clock: app.now }, look));
    undo.addEventListener("click", () => field.reset());
    const buttons = h("div", { class: "buttons" }, undo, session.actions ? apply : h("span", { class: "soft" }, "Read only: it can be checked here, not applied."));
    const part = h("section", { class: "panel", "aria-labelledby": "new-title" }, h("h2", { id: "new-title" }, "A new configuration"), field.element, buttons);
    return { element: part, field };
  }

  async function look() {
    clearTimeout(view.timer);
    try {
      view.answer = await get("config", view.controller.signal);
      if (!app.paused) draw();
    } catch {
      if (view.controller.signal.aborted) return;
      // The notice at the top says what is wrong with the connection.
    }
    view.timer = setTimeout(look, LOOK_MS);
  }

  function draw() {
    const { answer } = view;
    if (!answer) return;
    const stamp = JSON.stringify([answer, which.value, find.value]);
    if (stamp === view.stamp) return;
    const isNews = view.config !== JSON.stringify(answer.current);
    view.stamp = stamp;
    view.config = JSON.stringify(answer.current);
    if (isNews) edit?.field.setBase(answer.current);
    setText(said, answer.reloads > 0 ? `Reloaded ${count(answer.reloads)} time${answer.reloads === 1 ? "" : "s"}, last ${dateTime(answer.reloaded_ms)}.` : "Not reloaded since the start.");
    const wanted = find.value.trim().toLowerCase();
    const fields = answer.fields.filter((field) => (which.value === "all" || field[which.value]) && field.field.toLowerCase().includes(wanted));
    body.replaceChildren(...fields.map(row));
    none.hidden = fields.length > 0;
    table.hidden = fields.length === 0;
  }

  which.addEventListener("change", draw);
  find.addEventListener("input", draw);
  return {
    title: "Config",
    element,
    start: look,
    onData: draw,
    stop() {
      clearTimeout(view.timer);
      view.controller.abort();
      edit?.field.stop();
    },
  };
}

function row(field) {
  const notes = [];
  if (field.differs) notes.push(h("span", { class: "tag calm" }, "Other than shipped"));
  if (field.changed) notes.push(h("span", { class: "tag warn" }, "Changed"));
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("code", {}, field.field)),
    h("td", { class: field.differs ? "figure strong" : "figure" }, shown(field.value)),
    h("td", { class: "figure" }, shown(field.default)),
    h("td", { class: field.changed ? "figure changed" : "figure" }, shown(field.previous)),
    h("td", {}, notes),
  );
}
