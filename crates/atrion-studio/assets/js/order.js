// Which routes are shown, and in which order. Pure.

/** Flag of a route that admits everything and only counts. */
export const SHADOW = 1;
const RESTING = 2;
const LEARNING = 4;
const CLOSED = 0;

/** A shadowed route refuses nobody: its rate is what would have been. */
const refuses = (row) => row("shed_rate") > 0 && (row("flags") & SHADOW) === 0;

/** What can be shown: a label and a test of a row. */
export const SELECTIONS = {
  all: ["All routes", () => true],
  trouble: ["In trouble", (row) => row("mode") > CLOSED || refuses(row)],
  shedding: ["Refusing", refuses],
  open: ["Open", (row, modes) => modes[row("mode")] === "open"],
  held: ["Held", (row, modes) => modes[row("mode")] === "held"],
  forced: ["Forced by hand", (row, modes) => modes[row("mode")]?.startsWith("forced")],
  shadow: ["Shadowed", (row) => (row("flags") & SHADOW) !== 0],
  learning: ["Learning", (row) => (row("flags") & LEARNING) !== 0],
  resting: ["At rest", (row) => (row("flags") & RESTING) !== 0],
};

/** Slots of the rows that match. */
export function select(store, modes, { text, selection }) {
  const wanted = text.trim().toLowerCase();
  const test = SELECTIONS[selection]?.[1] ?? SELECTIONS.all[1];
  const found = [];
  let slot = 0;
  const row = (column) => store.value(slot, column);
  for (slot of store.slots.values()) {
    if (wanted !== "" && !store.fold(slot).includes(wanted)) continue;
    if (test(row, modes)) found.push(slot);
  }
  return found;
}

/**
 * Sorts slots by a column. Equal rows keep the order of their ids, so nothing moves that need not.
 * Rows whose value is not known come last, whichever way.
 */
export function sort(store, slots, { column, descending }) {
  const ids = store.ids;
  const way = descending ? -1 : 1;
  if (column === "name") {
    const names = store.names;
    return slots.sort((a, b) =>
      names[a] === names[b] ? ids[a] - ids[b] : names[a] < names[b] ? -way : way,
    );
  }
  const values = column === "shed_rate" ? refusals(store) : store.data[store.at[column]];
  return slots.sort((a, b) => {
    const x = values[a];
    const y = values[b];
    if (x === y) return ids[a] - ids[b];
    if (Number.isNaN(x)) return Number.isNaN(y) ? ids[a] - ids[b] : 1;
    if (Number.isNaN(y)) return -1;
    return x < y ? -way : way;
  });
}

/** Rates of refusals, those that only would have been behind all others. */
function refusals(store) {
  const flags = store.data[store.at.flags];
  return store.data[store.at.shed_rate].map((rate, slot) => (flags[slot] & SHADOW ? rate * 1e-9 : rate));
}

/** Sorts again what was sorted before: rows are taken in the old order, which is nearly right. */
export function resort(store, modes, filter, order, previous) {
  const matching = select(store, modes, filter);
  if (previous.length > 0) {
    const rank = new Int32Array(store.top).fill(-1);
    previous.forEach((slot, i) => {
      if (slot < rank.length) rank[slot] = i;
    });
    const kept = [];
    const fresh = [];
    for (const slot of matching) (rank[slot] >= 0 ? kept : fresh).push(slot);
    kept.sort((a, b) => rank[a] - rank[b]);
    return sort(store, kept.concat(fresh), order);
  }
  return sort(store, matching, order);
}
