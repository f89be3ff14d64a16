// Elements are made by calls, never from text: no markup is ever parsed.

/** Makes an element: `h("p", {class: "note"}, "text", child)`. Functions become listeners. */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else element.setAttribute(key, String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** The same for SVG. */
export function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Sets text only where it differs: no work for the page's layout where nothing changed. */
export function setText(element, text) {
  if (element.shownText !== text) {
    element.shownText = text;
    element.textContent = text;
  }
}

/** Sets or removes an attribute only where it differs. */
export function setAttribute(element, key, value) {
  if (value === null || value === false) {
    if (element.hasAttribute(key)) element.removeAttribute(key);
  } else if (element.getAttribute(key) !== String(value)) {
    element.setAttribute(key, value);
  }
}

/** A table cell or definition that is updated by key. */
export function described(entries) {
  const list = h("dl", { class: "facts" });
  const values = {};
  for (const [key, label, help] of entries) {
    values[key] = h("dd", {}, "\u2013");
    list.append(h("div", {}, h("dt", help ? { title: help } : {}, label), values[key]));
  }
  return { element: list, set: (key, text) => setText(values[key], text), values };
}
