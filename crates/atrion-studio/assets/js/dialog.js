// Actions in two steps: what shall be done and for how long; then, with the server's own words and
// the state it saw, whether that is really wanted. The browser's modal dialog keeps the focus inside.

import { post } from "./api.js";
import { h } from "./dom.js";
import { announce } from "./announce.js";
import { nameElement, visible } from "./text.js";
import { count, plain } from "./format.js";
import { modeElement } from "./modes.js";

export const EXPIRIES = [[60, "1 minute"], [300, "5 minutes"], [900, "15 minutes"], [3600, "1 hour"], [86400, "1 day"]];

export const ACTIONS = {
  force_open: { label: "Force open", does: "Refuse every request of this route.", expiry: true, danger: true },
  force_closed: { label: "Force closed", does: "Admit every request of this route, whatever it meets.", expiry: true, danger: true },
  release: { label: "End override", does: "Let the route decide for itself again." },
  reset: { label: "Reset scar", does: "Forget scars, breaker, override and everything learned, as if the route were new.", danger: true },
  shadow_on: { label: "Shadow", does: "Admit everything, and only count what would be refused.", expiry: "optional" },
  shadow_off: { label: "End shadow", does: "Act on decisions again." },
  reload: { label: "Apply", does: "Put this configuration in force for the whole instance." },
};

let serial = 0;

/** Opens a modal dialog with a heading; the focus returns to where it was when it closes. */
function open(title, content) {
  serial += 1;
  const id = `dialog-${serial}`;
  const heading = h("h2", { id, tabindex: -1 }, title);
  const dialog = h("dialog", { "aria-labelledby": id, class: "ask" }, heading, content);
  document.body.append(dialog);
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
    else document.getElementById("main").focus();
  });
  dialog.showModal();
  return dialog;
}

/** A place for what went wrong, read out as soon as it is there. */
function problemPlace() {
  return h("p", { class: "problem", role: "alert" });
}

function sayProblem(place, error) {
  const field = error.field && !error.message.includes(error.field) ? `${error.field}: ` : "";
  place.textContent = field + error.message;
}

const shown = (value) => (typeof value === "number" ? plain(value) : JSON.stringify(value) ?? "\u2013");

/** A table of changed fields. */
export function changesTable(changes, caption) {
  const rows = changes.map(({ field, from, to }) =>
    h("tr", {}, h("th", { scope: "row" }, h("code", {}, field)), h("td", { class: "figure" }, shown(from)), h("td", { class: "figure changed" }, shown(to))),
  );
  return h(
    "table",
    { class: "changes" },
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Field"), h("th", { scope: "col", class: "figure" }, "Now"), h("th", { scope: "col", class: "figure" }, "Then"))),
    h("tbody", {}, rows),
  );
}

/**
 * Asks for an action's particulars, then for confirmation, then does it.
 * @param {string} action
 * @param {{id?: number, name?: string, config?: object, limits: object}} subject
 * @param {(answer: object) => void} [onDone]
 */
export function act(action, subject, onDone) {
  const kind = ACTIONS[action];
  const problem = problemPlace();
  const expiry = expiryFields(kind, subject.limits);
  const reason = h("input", { id: "act-reason", name: "reason", maxlength: 200, autocomplete: "off" });
  const form = h(
    "form",
    { method: "dialog", class: "stack", novalidate: true },
    subject.name === undefined ? null : h("p", { class: "subject" }, nameElement(subject.name)),
    h("p", {}, kind.does),
    expiry.elements,
    h("label", { class: "field", for: "act-reason" }, "Reason, for the audit log (optional)", reason),
    problem,
    h("div", { class: "buttons" }, h("button", { type: "button", value: "cancel" }, "Cancel"), h("button", { type: "submit", class: "main" }, "Continue")),
  );
  const dialog = open(`${kind.label}`, form);
  form.querySelector('[value="cancel"]').addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const request = { action };
    if (subject.id !== undefined) request.route = subject.id;
    if (subject.config !== undefined) request.config = subject.config;
    const secs = expiry.seconds();
    if (secs !== null) request.expiry_secs = secs;
    if (reason.value.trim() !== "") request.reason = reason.value.trim();
    await busy(form, problem, async () => {
      const answer = await post("actions/prepare", request);
      confirm(dialog, kind, subject, answer, onDone);
    });
  });
}

const OTHER = "other";

/** How long an action shall last: usual times, or any number of seconds. */
function expiryFields(kind, limits) {
  if (!kind.expiry) return { elements: null, seconds: () => null };
  const [least, most] = limits?.expiry_secs ?? [1, 86400];
  const choice = h("select", { id: "act-expiry" }, expiryOptions(kind, least, most), h("option", { value: OTHER }, "another time"));
  const secs = h("input", { id: "act-secs", type: "number", min: least, max: most, step: 1, value: 30 });
  const other = h("label", { class: "field", for: "act-secs", hidden: true }, `Seconds, ${least} to ${most}`, secs);
  choice.addEventListener("change", () => (other.hidden = choice.value !== OTHER));
  return {
    elements: [h("label", { class: "field", for: "act-expiry" }, "Ends by itself after", choice), other],
    seconds: () => (choice.value === "" ? null : Number(choice.value === OTHER ? secs.value : choice.value)),
  };
}

function expiryOptions(kind, least, most) {
  const allowed = EXPIRIES.filter(([secs]) => secs >= least && secs <= most);
  const isOptional = kind.expiry === "optional";
  const options = allowed.map(([secs, label]) => h("option", { value: secs, selected: secs === 300 && !isOptional }, label));
  if (isOptional) options.unshift(h("option", { value: "", selected: true }, "not by itself"));
  return options;
}

async function busy(form, problem, work) {
  const buttons = [...form.querySelectorAll("button")];
  problem.textContent = "";
  for (const button of buttons) button.disabled = true;
  let failed = null;
  try {
    await work();
  } catch (error) {
    failed = error;
  }
  for (const button of buttons) button.disabled = false;
  if (failed) {
    sayProblem(problem, failed);
    form.querySelector('[type="submit"]')?.focus();
  }
}

/** The second step, in the same dialog: the server's summary, the state it saw, and a time limit. */
function confirm(dialog, kind, subject, answer, onDone) {
  const problem = problemPlace();
  const left = h("p", { class: "soft" });
  const submit = h("button", { type: "submit", class: kind.danger ? "danger" : "main" }, `Yes: ${kind.label.toLowerCase()}`);
  const form = h(
    "form",
    { method: "dialog", class: "stack" },
    h("p", { class: "summary" }, h("bdi", {}, `${sentence(visible(answer.summary))}.`)),
    answer.state?.mode ? h("p", {}, "The route is now ", modeElement(answer.state.mode), answer.state.shadow ? " and shadowed" : "", ".") : null,
    answer.changes ? changes(answer.changes) : null,
    left,
    problem,
    h("div", { class: "buttons" }, h("button", { type: "button", value: "cancel" }, "Cancel"), submit),
  );
  const heading = dialog.querySelector("h2");
  heading.textContent = `Confirm: ${kind.label.toLowerCase()}`;
  dialog.replaceChildren(heading, form);
  // Not on the button that does it: an impatient second Enter must not confirm.
  heading.focus();
  const stop = countDown(answer.expires_ms - (subject.clock?.() ?? Date.now()), left, submit);
  dialog.addEventListener("close", stop);
  form.querySelector('[value="cancel"]').addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await busy(form, problem, async () => {
      const done = await post("actions/commit", { confirm: answer.confirm });
      dialog.close();
      announce(`Done: ${answer.summary}`);
      onDone?.(done);
    });
  });
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function changes(list) {
  return list.length === 0
    ? h("p", { class: "soft" }, "Nothing would change.")
    : h("div", { class: "scroll-box", tabindex: 0, role: "region", "aria-label": "Changes" }, changesTable(list, `${count(list.length)} field${list.length === 1 ? "" : "s"} would change`));
}

function countDown(ms, place, submit) {
  const end = performance.now() + ms;
  const show = () => {
    const secs = Math.ceil((end - performance.now()) / 1000);
    place.textContent = secs > 0 ? `This offer stands for ${secs} s.` : "The time to confirm is over. Cancel and begin again.";
    if (secs <= 0) {
      submit.disabled = true;
      clearInterval(timer);
    }
  };
  const timer = setInterval(show, 1000);
  show();
  return () => clearInterval(timer);
}
