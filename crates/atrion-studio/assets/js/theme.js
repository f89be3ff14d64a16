// Light, dark, or as the system says. The choice stays in this browser.

const KEY = "atrion-studio-theme";
const listeners = new Set();

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // Storage may be forbidden; the system's choice is used.
  }
}

function apply(choice) {
  if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
  else delete document.documentElement.dataset.theme;
  colours.clear();
  for (const listener of listeners) listener();
}

/** Calls back whenever colours change. Returns how to stop that. */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Connects the selector in the header. */
export function startTheme(select) {
  const choice = stored() ?? "system";
  select.value = choice;
  apply(choice);
  select.addEventListener("change", () => {
    try {
      localStorage.setItem(KEY, select.value);
    } catch {
      // Not kept, but used.
    }
    apply(select.value);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(select.value));
}

const colours = new Map();

/** A colour of the style sheet as a canvas needs it. */
export function colour(name) {
  let value = colours.get(name);
  if (value === undefined) {
    const probe = document.getElementById("probe");
    probe.style.color = `var(--${name})`;
    value = getComputedStyle(probe).color;
    colours.set(name, value);
  }
  return value;
}

/** Whether movement is unwanted. */
export function isStill() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
