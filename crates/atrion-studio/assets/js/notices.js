// What is wrong right now, at the top of every page. A notice is read out when it comes; figures in
// it that count down are not.

import { h, setText } from "./dom.js";
import { announce } from "./announce.js";
import { visible } from "./text.js";

const present = new Map();

/**
 * Shows a notice, or changes it. `text` null takes it away.
 * @param {string} key
 * @param {{tone: "warn"|"bad"|"info", title: string, text: string, button?: [string, () => void]}|null} notice
 */
export function notice(key, wanted) {
  const old = present.get(key);
  if (!wanted) {
    if (old) {
      old.element.remove();
      present.delete(key);
      announce(`Over: ${old.title.textContent}`);
    }
    return;
  }
  const shown = old ?? make(key, wanted);
  shown.element.className = `notice ${wanted.tone}`;
  if (shown.title.shownText !== wanted.title) announce(`${wanted.title}. ${wanted.text}`);
  setText(shown.title, wanted.title);
  setText(shown.text, visibleText(wanted.text));
  setText(shown.extra, wanted.extra ?? "");
}

// Plain sentences keep their line breaks out and their letters as they are.
const visibleText = (text) => visible(text).replaceAll("\\\\", "\\");

function make(key, { button }) {
  const title = h("strong", {});
  const text = h("bdi", {});
  const extra = h("span", { class: "soft" });
  const element = h("div", {}, h("p", {}, title, " ", text, " ", extra));
  if (button) element.append(h("button", { type: "button", click: button[1] }, button[0]));
  document.getElementById("notices").append(element);
  const made = { element, title, text, extra };
  present.set(key, made);
  return made;
}
