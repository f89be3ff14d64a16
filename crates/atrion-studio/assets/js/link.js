// The state of the connection to the server, as a machine: takes what happened and the time, says
// what to do. No timers, no network, no page.

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;
const SILENT_INTERVALS = 5;

export class Link {
  constructor(intervalMs) {
    this.intervalMs = intervalMs;
    this.state = "opening";
    this.waitMs = 0;
    this.since = 0;
    this.retryAt = null;
    this.lastLine = null;
    this.why = null;
  }

  /** The server is being asked. */
  handleOpening(now) {
    this.state = "opening";
    this.retryAt = null;
    this.lastLine = now;
  }

  /** A line came. */
  handleLine(now) {
    this.state = "live";
    this.waitMs = 0;
    this.why = null;
    this.lastLine = now;
  }

  /** The connection ended or could not be made. `wait` in seconds is what the server asked for. */
  handleLost(now, why, wait = 0) {
    if (this.state !== "waiting") this.since = this.state === "live" ? now : this.since || now;
    this.waitMs = Math.min(Math.max(this.waitMs * 2, FIRST_WAIT_MS, wait * 1000 || 0), LONGEST_WAIT_MS);
    this.state = "waiting";
    this.retryAt = now + this.waitMs;
    this.why = why;
  }

  /** The server refuses: nothing is tried until somebody does something about it. */
  handleRefused(now, why) {
    this.state = "refused";
    this.retryAt = null;
    this.since = now;
    this.why = why;
  }

  /** Whether to ask again now. */
  wantsOpening(now) {
    return this.state === "waiting" && now >= this.retryAt;
  }

  /** Whether nothing has come for so long that the connection must be dead. */
  isSilent(now) {
    const waits = this.state === "live" || this.state === "opening";
    // A first answer may take longer than a line does.
    const patience = Math.max(SILENT_INTERVALS * this.intervalMs, this.state === "opening" ? 10000 : 0);
    return waits && this.lastLine !== null && now - this.lastLine > patience;
  }

  /** Seconds to the next attempt. */
  secondsLeft(now) {
    return this.retryAt === null ? null : Math.max(0, Math.ceil((this.retryAt - now) / 1000));
  }
}
