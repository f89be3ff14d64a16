// The state of the licence.

import { get } from "../api.js";
import { described, h } from "../dom.js";
import { number } from "../format.js";
import { visible } from "../text.js";

const FACTS = [
  ["status", "Status"],
  ["tier", "Tier"],
  ["licensee", "Licensee"],
  ["id", "Licence id"],
  ["features", "Features"],
  ["issued", "Issued"],
  ["expires", "Expires"],
  ["days_left", "Days left"],
];
const TONE = { info: "good", warning: "warn", error: "bad" };
const LOOK_MS = 10000;

/** A day and a time as the licence has them, with breaks where people expect them. */
const INSTANT = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\dZ$/;

function shown(value) {
  if (Array.isArray(value)) return visible(value.join(", ")) || "\u2013";
  if (typeof value === "number") return number(value < 2 ? value : Math.floor(value), value < 2 ? 2 : 1);
  return value ? visible(String(value)).replace(INSTANT, "$1 $2\u00a0UTC") : "\u2013";
}

export function licencePage(app, _rest, { only = false } = {}) {
  const facts = described(FACTS);
  const message = h("p", { class: "notice" });
  const help = h("p", { class: "soft" }, "Traffic never depends on a licence: without one the commercial features work in memory, and Studio shows only this page. A key for development costs one command: ", h("code", {}, "cargo xtask license dev"), ".");
  const element = h("div", { class: "page narrow" }, h("h1", {}, "Licence"), message, h("div", { class: "panel" }, facts.element), help);

  function showLicence(licence) {
    message.className = `notice ${TONE[licence.severity] ?? "info"}`;
    const said = visible(licence.message ?? "");
    message.textContent = said.charAt(0).toUpperCase() + said.slice(1);
    for (const [key] of FACTS) facts.set(key, shown(licence[key]));
    help.hidden = licence.usable;
  }

  let timer = 0;
  async function look() {
    const licence = await get("license").catch(() => null);
    if (licence) showLicence(licence);
  }
  showLicence(app.session.license);
  return {
    title: "Licence",
    element,
    start() {
      if (!only) timer = setInterval(look, LOOK_MS);
      look();
    },
    stop: () => clearInterval(timer),
  };
}
