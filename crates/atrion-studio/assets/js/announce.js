// One polite live region for the whole page. What changes with the traffic is never announced:
// only what the user did, and the state of the connection.

const QUIET_MS = 700;
let timer = 0;

/** Tells screen readers something, once it has stopped changing. */
export function announce(text) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const region = document.getElementById("announcer");
    region.textContent = "";
    // The same words twice are news only if the region was empty in between.
    requestAnimationFrame(() => {
      region.textContent = text;
    });
  }, QUIET_MS);
}
