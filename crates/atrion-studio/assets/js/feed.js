// The overview's stream: carries out what the machine in link.js says, and feeds the store.

import { BASE, currentToken } from "./api.js";
import { Link } from "./link.js";

const TICK_MS = 500;

export class Feed {
  /**
   * @param {import("./store.js").Store} store
   * @param {number} intervalMs
   * @param {{onData: () => void, onLink: (link: Link) => void, onRefused: (refusal: object) => void}} told
   */
  constructor(store, intervalMs, told) {
    this.store = store;
    this.told = told;
    this.link = new Link(intervalMs);
    this.turn = 0;
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.take(data);
    this.worker.onerror = () => this.lost("the reader of the stream failed");
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.open();
  }

  stop() {
    clearInterval(this.timer);
    this.worker.terminate();
  }

  /** Asks the server again, now. */
  open() {
    this.turn += 1;
    this.link.handleOpening(performance.now());
    const width = this.store.columns.length;
    this.worker.postMessage({ open: true, url: `${BASE}stream`, token: currentToken(), width, turn: this.turn });
    this.told.onLink(this.link);
  }

  tick() {
    const now = performance.now();
    if (this.link.wantsOpening(now)) this.open();
    else if (this.link.isSilent(now)) this.lost("nothing has come for a while");
    else if (this.link.state === "waiting") this.told.onLink(this.link);
  }

  lost(why, wait) {
    this.turn += 1;
    this.worker.postMessage({ open: false });
    this.link.handleLost(performance.now(), why, wait);
    this.told.onLink(this.link);
  }

  take(message) {
    if (message.turn !== this.turn) return; // of a connection that is over
    const now = performance.now();
    if (message.t === "snapshot" || message.t === "delta") {
      const wasLive = this.link.state === "live";
      if (!this.store.take(message)) {
        this.lost("a line was missing");
        return;
      }
      this.link.handleLine(now);
      if (!wasLive) this.told.onLink(this.link);
      this.told.onData();
    } else if (message.t === "resync") {
      this.link.handleLine(now);
    } else if (message.t === "bye") {
      this.lost("the server is shutting down");
    } else if (message.t === "refused" && (message.status === 401 || message.status === 403)) {
      this.link.handleRefused(now, message.error?.message ?? "the server refuses");
      this.told.onLink(this.link);
      this.told.onRefused(message);
    } else if (message.t === "refused") {
      this.lost(message.error?.message ?? `the server answered ${message.status}`, message.wait);
    } else if (message.t === "ended" || message.t === "broken") {
      this.lost("the connection broke");
    }
  }
}
