// A recording of a route's requests, replayed under another configuration before that is applied.

import { announce } from "../announce.js";
import { get, post } from "../api.js";
import { act } from "../dialog.js";
import { h } from "../dom.js";
import { editor } from "../editor.js";
import { count, seconds } from "../format.js";
import { nameElement, visible } from "../text.js";
import { resultPanel } from "./preview/result.js";

const LOOK_MS = 1000;
const OFFERED = 200;

export function previewPage(app) {
  const { session } = app;
  if (!session.preview) return notHere();
  const [least, most] = session.limits.preview_secs;
  const route = h("input", { id: "preview-route", list: "preview-routes", autocomplete: "off", spellcheck: "false", required: true, placeholder: "Begin to type a name" });
  const offers = h("datalist", { id: "preview-routes" });
  const secs = h("input", { id: "preview-secs", type: "number", min: least, max: most, step: 1, value: Math.min(10, most), required: true });
  const record = h("button", { class: "main", type: "submit" }, "Record");
  const discard = h("button", { type: "button" }, "Discard");
  const problem = h("p", { class: "problem", role: "alert" });
  const status = h("p", { class: "status-line" });
  const meter = h("progress", { "aria-label": "Recording", max: 1, value: 0, hidden: true });
  const form = h(
    "form",
    { class: "toolbar", submit: (event) => event.preventDefault() },
    h("label", { for: "preview-route" }, "Route", route),
    offers,
    h("label", { for: "preview-secs" }, "Seconds", secs),
    record,
    discard,
  );
  const run = h("button", { class: "main", type: "button", id: "run", disabled: true }, "Replay");
  const apply = h("button", { type: "button", id: "preview-apply", disabled: true }, "Apply this configuration\u2026");
  let wanted = null;
  const field = editor({
    id: "preview-config",
    canCheck: true,
    onChange(config, changes) {
      wanted = config && changes.length > 0 ? config : null;
      buttons();
    },
  });
  const result = resultPanel();
  const element = h(
    "div",
    { class: "page" },
    h("h1", {}, "Preview"),
    h("p", { class: "soft" }, "Record what a route meets, change a number, and see what would have been decided, and how the service would have fared. Nothing is applied."),
    h("section", { class: "panel", "aria-labelledby": "step-1" }, h("h2", { id: "step-1" }, "1. Record"), form, status, meter, problem),
    h("section", { class: "panel", "aria-labelledby": "step-2" }, h("h2", { id: "step-2" }, "2. Change"), field.element, h("div", { class: "buttons" }, run, session.actions ? apply : null)),
    result.element,
  );
  const view = { timer: 0, controller: new AbortController(), said: { state: "idle" } };

  function buttons() {
    const { state } = view.said;
    const hasTape = state === "recorded" || state === "done" || (state === "failed" && view.said.requests > 0);
    record.disabled = state === "recording" || state === "running";
    discard.disabled = state === "idle";
    run.disabled = !hasTape || wanted === null;
    apply.disabled = wanted === null;
  }

  function take(said) {
    const before = view.said.state;
    view.said = said;
    status.replaceChildren(...(said.name && said.state !== "idle" ? [nameElement(said.name), ": ", inWords(said)] : [inWords(said)]));
    meter.hidden = said.state !== "recording" && said.state !== "running";
    if (said.state === "running") meter.removeAttribute("value");
    else meter.value = said.secs > 0 ? Math.min(1, said.elapsed_secs / said.secs) : 0;
    if (before !== said.state) announce(inWords(said));
    result.show(said.result);
    buttons();
  }

  async function look() {
    clearTimeout(view.timer);
    try {
      take(await get("preview", view.controller.signal));
    } catch {
      if (view.controller.signal.aborted) return;
      // The notice at the top says what is wrong with the connection.
    }
    view.timer = setTimeout(look, LOOK_MS);
  }

  async function attempt(work) {
    problem.textContent = "";
    try {
      take(await work());
    } catch (error) {
      problem.textContent = error.message;
    }
  }

  function idOfChosen() {
    for (const [id, slot] of app.store.slots) if (visible(app.store.names[slot]) === route.value) return id;
    return undefined;
  }

  function offer() {
    const typed = route.value.toLowerCase();
    const options = [];
    for (const slot of app.store.slots.values()) {
      if (!app.store.fold(slot).includes(typed)) continue;
      options.push(h("option", { value: visible(app.store.names[slot]) }));
      if (options.length === OFFERED) break;
    }
    offers.replaceChildren(...options);
  }

  form.addEventListener("submit", () => {
    const id = idOfChosen();
    if (id === undefined) {
      problem.textContent = "There is no route of that name. Choose one of the list.";
      route.focus();
      return;
    }
    if (!secs.checkValidity()) {
      problem.textContent = `Seconds must be ${least} to ${most}.`;
      secs.focus();
      return;
    }
    attempt(() => post("preview/record", { route: id, secs: Number(secs.value) }));
  });
  discard.addEventListener("click", () => attempt(() => post("preview/discard", {})));
  run.addEventListener("click", () => attempt(() => post("preview/run", { config: wanted })));
  apply.addEventListener("click", () => act("reload", { config: wanted, limits: session.limits, clock: app.now }, readConfig));
  route.addEventListener("input", offer);
  route.addEventListener("focus", offer);

  async function readConfig() {
    const answer = await get("config", view.controller.signal).catch(() => null);
    if (answer) field.setBase(answer.current);
  }

  return {
    title: "Preview",
    element,
    start() {
      readConfig();
      look();
    },
    stop() {
      clearTimeout(view.timer);
      view.controller.abort();
      field.stop();
      result.stop();
    },
  };
}

function inWords(said) {
  const requests = `${count(said.requests)} requests`;
  switch (said.state) {
    case "recording":
      return `Recording, ${seconds(said.elapsed_secs)} of ${seconds(said.secs)}, ${requests}.`;
    case "recorded":
      return `Recorded ${requests}${said.dropped > 0 ? `; ${count(said.dropped)} came too fast and are missing` : ""}.`;
    case "running":
      return `Replaying ${requests}.`;
    case "done":
      return `Replayed ${requests}.`;
    case "failed":
      return `It did not work: ${visible(said.error ?? "no reason was given")}.`;
    default:
      return "Nothing is recorded.";
  }
}

function notHere() {
  return {
    title: "Preview",
    element: h("div", { class: "page narrow" }, h("h1", {}, "Preview"), h("p", { class: "notice info" }, "Previews are switched off in this Studio. Whoever set it up can allow them; they record and replay, and change nothing.")),
  };
}

