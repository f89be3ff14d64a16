// The state of the connection and of what stands behind the server, in words.

import { setAttribute, setText } from "./dom.js";
import { clock, seconds } from "./format.js";
import { notice } from "./notices.js";

const WORDS = {
  opening: "Connecting",
  live: "Live",
  waiting: "Disconnected",
  refused: "Refused",
  unlicensed: "No licence",
};

/** Shows the state of the connection in the header, and a notice while there is none. */
export function showLink(link, retry) {
  const badge = document.getElementById("link");
  setAttribute(badge, "data-state", link.state);
  setText(document.getElementById("link-text"), WORDS[link.state] ?? link.state);
  document.body.classList.toggle("stale", link.state === "waiting");
  if (link.state === "waiting") {
    const left = link.secondsLeft(performance.now());
    notice("link", {
      tone: "bad",
      title: "No connection to the server.",
      text: `${sentence(link.why)} What you see is what was known before.`,
      extra: left === null ? "Trying again." : `Next attempt in ${left} s.`,
      button: ["Try now", retry],
    });
  } else if (link.state !== "opening") {
    notice("link", null);
  }
}

const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}.` : "");

const PROVIDER = { degraded: "warn", disconnected: "warn" };

/** Shows trouble behind the server: Redis, PostgreSQL, the licence. */
export function showHealth({ store, session }) {
  const { health } = store;
  const trouble = PROVIDER[health.provider];
  notice(
    "provider",
    trouble || health.trouble
      ? {
          tone: "warn",
          title: "Shared state is in trouble.",
          text: `${health.trouble ?? "The state provider is disconnected."}`,
          extra: `Requests are not affected: this node decides on its own. Last exchange ${seconds(health.lag_ms / 1000)} ago.`,
        }
      : null,
  );
  const licence = session.license;
  notice(
    "licence",
    ["expiring", "grace"].includes(health.license)
      ? { tone: "warn", title: "Licence.", text: licence.message }
      : null,
  );
  setText(document.getElementById("as-of"), `as of ${clock(store.now)}`);
}
