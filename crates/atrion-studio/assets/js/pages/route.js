// One route in depth.

import { stream } from "../api.js";
import { described, h, setText } from "../dom.js";
import { act } from "../dialog.js";
import { count, number, ohms, percent, seconds } from "../format.js";
import { MODE_HELP, modeElement, setMode } from "../modes.js";
import { SAMPLE, totalOf } from "../stack.js";
import { nameElement, visible } from "../text.js";
import { blendLine, voicesTable } from "../voices.js";
import { modesPanel } from "./route/modes.js";
import { ratesPanel } from "./route/rates.js";
import { refusalsPanel } from "./route/refusals.js";
import { resistancePanel } from "./route/resistance.js";

const FACTS = [
  ["resistance", "Resistance", "What the next arrival has to overcome"],
  ["flows", "Flows", "The priorities whose voltage overcomes it"],
  ["in_flight", "In flight", "Requests being worked on, of what the service was seen to do at once"],
  ["service", "Service time", "Latency without a queue, as learned"],
  ["capacity", "Capacity", "Highest throughput the service has shown"],
  ["errors", "Error rate", "Moving share of failed requests"],
  ["probe", "Next probe", "When the next request may look whether the route has healed"],
  ["completed", "Completed", "Requests that ended since the route was made"],
  ["shed", "Refused", "Requests refused since the route was made"],
];
const RETRY_MS = 2000;

export function routePage(app, rest) {
  const id = Number(rest);
  const { session } = app;
  const heading = h("h1", { class: "route-name" }, "Route");
  const mode = modeElement();
  const flags = h("span", { class: "flags" });
  const sentence = h("p", { class: "soft" });
  const facts = described(FACTS);
  const problem = h("p", { class: "notice warn", hidden: true });
  const buttons = h("div", { class: "buttons", role: "group", "aria-label": "Actions on this route" });
  const modes = modesPanel(session);
  const resistance = resistancePanel(session, modes.element);
  const rates = ratesPanel(session);
  const refusals = refusalsPanel();
  const cluster = h("section", { class: "panel", "aria-labelledby": "cluster-title", hidden: true });
  const element = h(
    "div",
    { class: "page" },
    h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("span", { "aria-hidden": "true" }, "\u2190 "), h("a", { href: "#/routes" }, "All routes")),
    h("div", { class: "title" }, heading, h("p", { class: "mode-line" }, mode, flags), buttons),
    sentence,
    problem,
    h("section", { class: "panel", "aria-label": "Now" }, facts.element),
    resistance.element,
    rates.element,
    cluster,
    refusals.element,
  );
  const panels = [resistance, modes, rates, refusals];
  const view = { route: null, samples: [], stop: null, timer: 0 };

  function take(message) {
    if (message.t === "route") takeRoute(message);
    else if (message.t === "sample") takeSample(message);
    else if (message.t === "gone") gone();
    if (!app.paused && !document.hidden) draw();
  }

  function takeRoute(message) {
    const { history, refusals: said } = message;
    if (history) view.samples = history.samples.slice();
    if (said) refusals.replace(said);
    const first = view.route === null || view.route.id !== message.id;
    const changes = message.modes_timeline ?? withMode(view.route, message.mode, message.at_ms);
    view.route = { ...message, history: undefined, modes_timeline: changes };
    if (message.now && view.samples.at(-1)?.[SAMPLE.at] !== message.now[SAMPLE.at]) append(message.now);
    if (first) introduce();
  }

  function takeSample(message) {
    if (!view.route) return;
    const { sample, mode: now, flags: bits, force, next_probe_secs: probe } = message;
    const changes = withMode(view.route, now, sample[SAMPLE.at]);
    view.route = { ...view.route, mode: now, flags: bits, force, next_probe_secs: probe, now: sample, modes_timeline: changes };
    append(sample);
    refusals.add(message.refusals ?? []);
  }

  function append(sample) {
    view.samples.push(sample);
    const most = session.limits?.history ?? 600;
    if (view.samples.length > most) view.samples.splice(0, view.samples.length - most);
  }

  function introduce() {
    const { name } = view.route;
    app.lastRoute = name;
    heading.replaceChildren(nameElement(name));
    document.title = `${visible(name)} \u2013 Atrion Studio`;
  }

  function draw() {
    const { route } = view;
    if (!route) return;
    drawTop(route);
    for (const panel of panels) panel.show(route, view.samples);
    drawCluster(route.cluster);
  }

  function drawTop(route) {
    const now = route.now ?? view.samples.at(-1);
    setMode(mode, route.mode);
    setText(flags, (route.flags ?? []).join(", "));
    setText(sentence, told(route));
    const total = now ? totalOf(now) : null;
    facts.set("resistance", total === null ? "\u2013" : total >= 1e6 ? "wall" : `${ohms(total)} \u03a9`);
    facts.set("flows", flowing(route, total, session.tiers));
    const { learned, counts } = route;
    facts.set("in_flight", `${count(now?.[SAMPLE.inFlight])}${learned?.parallelism ? ` of ${number(learned.parallelism)}` : ""}`);
    facts.set("service", learned?.service_secs === null ? "learning" : seconds(learned?.service_secs));
    facts.set("capacity", learned?.capacity_rate ? `${number(learned.capacity_rate)}/s` : "learning");
    facts.set("errors", percent(now?.[SAMPLE.errorRate] ?? route.error_rate));
    facts.set("probe", route.next_probe_secs === null || route.next_probe_secs === undefined ? "none needed" : route.next_probe_secs <= 0 ? "due now" : `in ${seconds(route.next_probe_secs)}`);
    facts.set("completed", count(counts?.completed));
    facts.set("shed", count(counts?.shed) + (counts?.shadow_shed ? ` (+${count(counts.shadow_shed)} in shadow)` : ""));
    drawButtons(route);
  }

  function drawButtons(route) {
    if (!session.actions) return;
    const isForced = Boolean(route.force);
    const isShadowed = (route.flags ?? []).includes("shadow");
    const wanted = [...(isForced ? ["release"] : []), "force_open", "force_closed", isShadowed ? "shadow_off" : "shadow_on", "reset"];
    if (buttons.shown === wanted.join()) return;
    buttons.shown = wanted.join();
    const labels = { force_open: "Force open\u2026", force_closed: "Force closed\u2026", release: "End override\u2026", reset: "Reset scar\u2026", shadow_on: "Shadow\u2026", shadow_off: "End shadow\u2026" };
    const hadFocus = buttons.contains(document.activeElement);
    buttons.replaceChildren(...wanted.map((action) => h("button", { type: "button", "data-action": action, click: () => ask(action) }, labels[action])));
    if (hadFocus) buttons.firstChild.focus();
  }

  function ask(action) {
    act(action, { id, name: view.route.name, limits: session.limits, clock: app.now }, () => reopen());
  }

  function drawCluster(said) {
    cluster.hidden = !said;
    if (!said) return;
    const stamp = JSON.stringify(said);
    if (cluster.stamp === stamp) return;
    cluster.stamp = stamp;
    // A reader of the table must not lose the place to every new figure.
    if (cluster.contains(document.activeElement)) return;
    cluster.replaceChildren(h("h2", { id: "cluster-title" }, "What the nodes say"), blendLine(said), voicesTable(said, "What each node says about this route"));
  }

  function gone() {
    say("This route is gone: nobody used it, and it was forgotten. It comes back with its next request.");
  }

  function say(text) {
    problem.hidden = text === null;
    if (text !== null) setText(problem, text);
  }

  async function open() {
    const controller = new AbortController();
    view.stop = controller;
    try {
      await stream(`routes/${id}/stream`, (message) => {
        say(null);
        take(message);
      }, controller.signal);
    } catch (error) {
      if (controller.signal.aborted) return;
      if (error.status === 404) return gone();
      if (error.status) say(`${error.message} Trying again.`);
    }
    if (!controller.signal.aborted) view.timer = setTimeout(open, RETRY_MS);
  }

  function reopen() {
    clearTimeout(view.timer);
    view.stop?.abort();
    open();
  }

  return {
    title: "Route",
    element,
    start: open,
    onData() {
      draw();
    },
    onLink: reopen,
    stop() {
      clearTimeout(view.timer);
      view.stop?.abort();
      for (const panel of panels) panel.stop?.();
    },
  };
}

/** The changes of mode that are known of a route, and the one that it has just made, if it has. */
function withMode(route, mode, at) {
  const known = route?.modes_timeline ?? [];
  return route && route.mode !== mode ? [...known, { at_ms: at, mode }] : known;
}

function told(route) {
  if (route.force) {
    const what = route.force.to === "open" || route.force.to === "forced_open" ? "Refuses" : "Admits";
    return `${what} everything by hand, for ${seconds(Math.max(0, Math.ceil(route.force.remaining_secs)))} more.`;
  }
  const learning = route.phase === "startup" ? " Still learning its service." : route.phase === "exhale" ? " Measuring its service on an empty queue." : "";
  return `${MODE_HELP[route.mode] ?? ""}${learning}`;
}

function flowing(route, total, tiers) {
  if (route.mode === "forced_closed") return "everything";
  if (route.mode === "forced_open") return "nothing";
  if (route.mode === "open" || route.mode === "held") return "probes only";
  if (total === null) return "\u2013";
  const through = tiers.filter((tier) => tier.volt > total).sort((a, b) => a.volt - b.volt);
  if (through.length === 0) return "nothing";
  if (through.length === tiers.length) return "every priority";
  return through.length === 1 ? `${through[0].name} only` : `${through[0].name} and above`;
}

