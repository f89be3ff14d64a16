// What is known of all routes, column by column: ten thousand rows as objects would be ten thousand
// objects. Pure: takes messages, answers questions, touches no page.

/** How many past values of a route's rates are kept for its little chart. */
export const PAST = 48;

const FIRST_ROOM = 256;

export class Store {
  /** @param {string[]} columns names of the columns, as the server sends them */
  constructor(columns) {
    this.columns = columns;
    /** Counts whole messages: slots of an earlier one mean something else. */
    this.epoch = 0;
    this.at = Object.fromEntries(columns.map((name, i) => [name, i]));
    this.clear();
  }

  clear() {
    this.epoch += 1;
    this.seq = null;
    this.now = 0;
    this.totals = null;
    this.health = null;
    this.slots = new Map();
    this.free = [];
    this.top = 0;
    this.room = 0;
    this.names = [];
    this.folded = [];
    this.turn = 0;
    this.grow(FIRST_ROOM);
  }

  grow(room) {
    const enlarge = (old, Kind, times) => {
      const array = new Kind(room * times);
      if (old) array.set(old);
      return array;
    };
    this.ids = enlarge(this.ids, Float64Array, 1);
    this.data = this.columns.map((_, i) => enlarge(this.data?.[i], Float64Array, 1));
    this.admitted = enlarge(this.admitted, Float32Array, PAST);
    this.shed = enlarge(this.shed, Float32Array, PAST);
    this.room = room;
  }

  get count() {
    return this.slots.size;
  }

  /** The value of a column in a row; NaN where it is not known. */
  value(slot, column) {
    return this.data[this.at[column]][slot];
  }

  slotOf(id) {
    return this.slots.get(id);
  }

  /** The id of the route of that name, if it is there. */
  idOf(name) {
    for (const [id, slot] of this.slots) if (this.names[slot] === name) return id;
    return undefined;
  }

  /** Takes a message. False if it does not follow what was there: a whole one is needed. */
  take(message) {
    if (message.t === "snapshot") {
      const past = this.keptPast();
      this.clear();
      this.add(message.routes);
      this.restorePast(past);
    } else if (message.t === "delta") {
      if (this.seq === null || message.seq !== this.seq + 1) return false;
      for (const id of message.gone) this.remove(id);
      this.add(message.added);
      if (!this.change(message.changed)) return false;
    } else {
      return true;
    }
    this.seq = message.seq;
    this.now = message.at_ms;
    this.totals = message.totals;
    this.health = message.health;
    this.remember();
    return true;
  }

  add({ ids, names, values }) {
    const width = this.columns.length;
    for (let i = 0; i < ids.length; i += 1) {
      let slot = this.slots.get(ids[i]);
      if (slot === undefined) {
        slot = this.free.pop() ?? this.top++;
        if (slot >= this.room) this.grow(Math.max(slot + 1, this.room * 2));
        this.slots.set(ids[i], slot);
        this.admitted.fill(0, slot * PAST, (slot + 1) * PAST);
        this.shed.fill(0, slot * PAST, (slot + 1) * PAST);
      }
      this.ids[slot] = ids[i];
      this.names[slot] = names[i];
      this.folded[slot] = undefined;
      for (let c = 0; c < width; c += 1) this.data[c][slot] = values[i * width + c];
    }
  }

  change({ ids, masks, values }) {
    let at = 0;
    for (let i = 0; i < ids.length; i += 1) {
      const slot = this.slots.get(ids[i]);
      if (slot === undefined) return false;
      for (let c = 0, mask = masks[i]; mask !== 0; c += 1, mask >>>= 1) {
        if (!(mask & 1)) continue;
        if (c < this.data.length) this.data[c][slot] = values[at];
        at += 1;
      }
    }
    return true;
  }

  remove(id) {
    const slot = this.slots.get(id);
    if (slot === undefined) return;
    this.slots.delete(id);
    this.names[slot] = undefined;
    this.free.push(slot);
  }

  /** Writes the present rates into the ring of the past. */
  remember() {
    this.turn = (this.turn + 1) % PAST;
    const admitted = this.data[this.at.admitted_rate];
    const shed = this.data[this.at.shed_rate];
    for (let slot = 0; slot < this.top; slot += 1) {
      this.admitted[slot * PAST + this.turn] = admitted[slot] || 0;
      this.shed[slot * PAST + this.turn] = shed[slot] || 0;
    }
  }

  keptPast() {
    return this.count === 0
      ? null
      : { slots: this.slots, admitted: this.admitted, shed: this.shed, turn: this.turn };
  }

  restorePast(past) {
    if (!past) return;
    this.turn = past.turn;
    for (const [id, slot] of this.slots) {
      const old = past.slots.get(id);
      if (old === undefined) continue;
      const range = [old * PAST, (old + 1) * PAST];
      this.admitted.set(past.admitted.subarray(...range), slot * PAST);
      this.shed.set(past.shed.subarray(...range), slot * PAST);
    }
  }

  /** The name in small letters, for searching. */
  fold(slot) {
    this.folded[slot] ??= this.names[slot].toLowerCase();
    return this.folded[slot];
  }
}
