// Logs that grow: fetched by number, kept bounded, newest first.

import { get } from "./api.js";

/** Reads a log of the server as it grows. `path` is `events` or `audit`, `list` where its entries are. */
export class Log {
  constructor(path, list, most) {
    this.path = path;
    this.list = list;
    this.most = most;
    this.entries = [];
    this.next = 0;
    this.lost = false;
    this.asking = null;
  }

  /** Fetches what is newer than what is known. True if there was anything. */
  async renew(signal) {
    if (this.asking) return false;
    this.asking = this.ask(signal).finally(() => (this.asking = null));
    return this.asking;
  }

  async ask(signal) {
    const after = this.next > 0 ? `after=${this.next}&` : "";
    const answer = await get(`${this.path}?${after}limit=${this.most}`, signal);
    const fresh = answer[this.list].filter((entry) => entry.seq > this.next || this.next === 0);
    this.lost ||= this.next > 0 && answer.lost;
    this.next = answer.next ?? fresh.at(-1)?.seq ?? this.next;
    this.entries = [...fresh.toReversed(), ...this.entries].slice(0, this.most);
    return fresh.length > 0;
  }
}
