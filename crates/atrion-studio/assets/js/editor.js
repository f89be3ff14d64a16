// A configuration as text that is edited, with what would change shown as it is typed.

import { post } from "./api.js";
import { changesTable } from "./dialog.js";
import { h, setAttribute, setText } from "./dom.js";

const PAUSE_MS = 400;
const AGAIN_MS = 2000;

/** The fields of a nested object by their dotted names. */
export function flat(value, prefix = "", into = new Map()) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    for (const [key, inner] of Object.entries(value)) flat(inner, prefix ? `${prefix}.${key}` : key, into);
  } else {
    into.set(prefix, value);
  }
  return into;
}

/** What differs between two configurations, field by field. */
export function difference(before, after) {
  const [from, to] = [flat(before), flat(after)];
  const names = new Set([...from.keys(), ...to.keys()]);
  const changes = [];
  for (const field of names) {
    const [a, b] = [from.get(field), to.get(field)];
    if (JSON.stringify(a) !== JSON.stringify(b)) changes.push({ field, from: a, to: b });
  }
  return changes.sort((a, b) => (a.field < b.field ? -1 : 1));
}

/**
 * @param {object} options
 * @param {string} options.id
 * @param {boolean} options.canCheck whether the server can be asked
 * @param {(config: object|null, changes: object[]) => void} options.onChange null while it is not valid
 */
export function editor({ id, canCheck, onChange }) {
  const text = h("textarea", { id, rows: 18, spellcheck: "false", autocomplete: "off", class: "code", "aria-describedby": `${id}-problem ${id}-help` });
  const problem = h("p", { class: "problem", id: `${id}-problem`, role: "status" });
  const help = h("p", { class: "soft", id: `${id}-help` }, "JSON. A field that is left out is as shipped. Tab leaves the field.");
  const changes = h("div", { class: "live-diff", tabindex: 0, role: "region", "aria-label": "What would change" });
  const element = h("div", { class: "editor" }, h("div", {}, h("label", { for: id }, "Configuration"), text, problem, help), changes);
  let base = null;
  let timer = 0;
  let turn = 0;

  function read() {
    try {
      const config = JSON.parse(text.value);
      if (config === null || typeof config !== "object" || Array.isArray(config)) throw new Error("it must be an object: { … }");
      return config;
    } catch (error) {
      say(`Not JSON: ${error.message}`);
      return null;
    }
  }

  function say(what) {
    setText(problem, what);
    setAttribute(text, "aria-invalid", what === "" ? null : "true");
  }

  function edited() {
    clearTimeout(timer);
    turn += 1;
    const config = read();
    const list = config ? difference(base, config) : [];
    if (config) {
      say("");
      show(list);
    }
    onChange(config, list);
    if (config && canCheck && list.length > 0) timer = setTimeout(() => check(config, turn), PAUSE_MS);
  }

  async function check(config, mine) {
    try {
      const answer = await post("preview/check", { config });
      if (mine !== turn) return;
      show(answer.changes);
      onChange(config, answer.changes);
    } catch (error) {
      if (mine !== turn) return;
      if (error.status === 422 || error.status === 400) {
        say(error.message);
        onChange(null, []);
      } else {
        // Nobody answered, which says nothing about the text: it is asked again.
        timer = setTimeout(() => check(config, mine), AGAIN_MS);
      }
    }
  }

  function show(list) {
    changes.replaceChildren(
      list.length === 0 ? h("p", { class: "soft" }, "Nothing differs from what is in force.") : changesTable(list, `${list.length} field${list.length === 1 ? "" : "s"} would change`),
    );
  }

  text.addEventListener("input", edited);
  return {
    element,
    /** What is in force. Replaces the text unless it was edited. */
    setBase(config) {
      const untouched = base === null || difference(base, safely(text.value) ?? base).length === 0;
      base = config;
      if (untouched) text.value = JSON.stringify(config, null, 2);
      edited();
    },
    reset() {
      text.value = JSON.stringify(base, null, 2);
      edited();
    },
    stop() {
      clearTimeout(timer);
      turn += 1;
    },
  };
}

function safely(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
