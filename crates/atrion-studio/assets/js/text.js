// Names come from whoever sends requests: they are shown as text, never as markup, and what cannot
// be seen or would move other text around is written out.

// Spaces at the ends and in rows, controls, invisible characters, marks of direction, separators,
// private use and lone halves of pairs; and the backslash, so that what is written out cannot be
// feigned.
const HAZARD =
  /^ | $|(?<= ) |[\u0000-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\\]|\udb40[\udc00-\udfff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const SHORT = new Map([["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"], ["\0", "\\0"], ["\\", "\\\\"]]);

function written(hazard) {
  return SHORT.get(hazard) ?? `\\u{${hazard.codePointAt(0).toString(16).toUpperCase()}}`;
}

/** Whether a name has something in it that must be written out. */
export function isHazardous(name) {
  // Not `test`: a global expression remembers where it was, and would miss the next one's start.
  return name.search(HAZARD) >= 0;
}

/** The name as plain text with everything invisible written out. */
export function visible(name) {
  if (name === "") return "(empty name)";
  return name.replace(HAZARD, written);
}

/**
 * Puts a name into an element, isolated from the direction of the text around it. What was written
 * out is marked, so that `\n` in a name and a line break differ to the eye too.
 */
export function putName(element, name) {
  if (element.shownName === name) return;
  element.shownName = name;
  element.dir = "auto";
  if (name !== "" && !isHazardous(name)) {
    element.textContent = name;
    return;
  }
  const parts = document.createDocumentFragment();
  let from = 0;
  for (const found of name.matchAll(HAZARD)) {
    parts.append(name.slice(from, found.index));
    const mark = document.createElement("span");
    mark.className = "escape";
    mark.textContent = written(found[0]);
    parts.append(mark);
    from = found.index + found[0].length;
  }
  parts.append(name === "" ? visible(name) : name.slice(from));
  element.replaceChildren(parts);
}

/** An element that shows a name: `<bdi class="name">`. */
export function nameElement(name) {
  const element = document.createElement("bdi");
  element.className = "name";
  putName(element, name);
  return element;
}
