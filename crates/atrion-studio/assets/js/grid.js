// A table of any length of which only the visible rows exist. To assistive technology it is one
// grid with all its rows (`aria-rowcount`, `aria-rowindex`); to the keyboard it is one tab stop with
// arrow keys inside.

import { h, setAttribute } from "./dom.js";

const ROW_PX = 30;
const SPARE_ROWS = 6;
const HEADER = -1;

/**
 * @typedef {object} Column
 * @property {string} key what it is called in orders
 * @property {string} label
 * @property {string} [help]
 * @property {string} [kind] class of its cells
 * @property {boolean} [sortable]
 * @property {(cell: HTMLElement) => void} [make] prepares a new cell
 * @property {(cell: HTMLElement, item: any) => void} fill shows an item in a cell
 */
export class Grid {
  /**
   * @param {object} options
   * @param {string} options.label what the table shows
   * @param {string} options.hint id of the element that says which keys work
   * @param {Column[]} options.columns
   * @param {(key: string) => void} options.onSort
   * @param {(item: any) => void} options.onOpen
   */
  constructor({ label, hint, columns, onSort, onOpen }) {
    this.columns = columns;
    this.onSort = onSort;
    this.onOpen = onOpen;
    this.items = [];
    this.first = 0;
    this.rows = [];
    this.active = { row: HEADER, column: 0 };
    this.order = { column: null, descending: false };
    this.build(label, hint);
    this.version = 0;
    // What drawing has cost so far, for whoever measures.
    this.drawn = { frames: 0, cells: 0 };
  }

  build(label, hint) {
    const heads = this.columns.map((column, i) => this.headCell(column, i));
    this.heads = heads.map(({ button }) => button);
    this.headCells = heads.map(({ cell }) => cell);
    this.body = h("tbody", { role: "rowgroup" });
    const headRow = h("tr", { role: "row", "aria-rowindex": 1 }, this.headCells);
    this.table = h(
      "table",
      { role: "grid", "aria-label": label, "aria-describedby": hint, "aria-rowcount": 1, "aria-colcount": this.columns.length, class: "grid" },
      h("thead", { role: "rowgroup" }, headRow),
      this.body,
    );
    this.element = h("div", { class: "grid-scroll" }, this.table);
    this.element.addEventListener("scroll", () => this.requestDraw(), { passive: true });
    this.table.addEventListener("keydown", (event) => this.onKey(event));
    this.table.addEventListener("focusin", (event) => this.onFocus(event));
    this.body.addEventListener("click", (event) => this.onClick(event));
    this.sizes = new ResizeObserver(() => this.requestDraw());
    this.sizes.observe(this.element);
  }

  headCell(column, i) {
    const mark = h("span", { class: "sort-mark", "aria-hidden": "true" });
    const button = column.sortable
      ? h("button", { type: "button", tabindex: i === 0 ? 0 : -1, click: () => this.onSort(column.key) }, column.label, mark)
      : h("span", { tabindex: i === 0 ? 0 : -1 }, column.label);
    if (column.help) button.title = column.help;
    const cell = h("th", { role: "columnheader", scope: "col", "aria-colindex": i + 1, class: column.kind }, button);
    if (column.sortable) cell.setAttribute("aria-sort", "none");
    return { button, cell };
  }

  /** Ends what would outlive the page. */
  stop() {
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
  }

  /** Shows which column the rows are sorted by. */
  setOrder(order) {
    this.order = order;
    this.columns.forEach((column, i) => {
      if (!column.sortable) return;
      const way = column.key === order.column ? (order.descending ? "descending" : "ascending") : "none";
      setAttribute(this.headCells[i], "aria-sort", way);
    });
  }

  /** Shows these items from now on. */
  setItems(items) {
    this.items = items;
    this.version += 1;
    setAttribute(this.table, "aria-rowcount", items.length + 1);
    this.body.style.height = `${items.length * ROW_PX}px`;
    this.requestDraw();
  }

  /** Draws at the next frame, once, however often it is asked. */
  requestDraw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    if (!this.element.isConnected) return;
    const height = this.element.clientHeight;
    const shown = Math.min(Math.ceil(height / ROW_PX) + SPARE_ROWS * 2, this.items.length);
    const top = Math.floor(this.element.scrollTop / ROW_PX) - SPARE_ROWS;
    this.first = Math.max(0, Math.min(top, this.items.length - shown));
    this.fit(shown);
    this.drawn.frames += 1;
    for (let i = 0; i < shown; i += 1) {
      const index = this.first + i;
      // An index keeps its row while it is in sight: scrolling touches only what comes into view.
      this.fillRow(this.rows[index % shown], index);
    }
  }

  /** Keeps exactly as many rows as can be seen. */
  fit(shown) {
    while (this.rows.length > shown) {
      const row = this.rows.pop();
      this.release(row);
      row.element.remove();
    }
    while (this.rows.length < shown) {
      const row = this.makeRow();
      this.rows.push(row);
      this.body.append(row.element);
    }
  }

  makeRow() {
    const cells = this.columns.map((column, i) => {
      const cell = h("td", { role: "gridcell", "aria-colindex": i + 1, class: column.kind, tabindex: -1 });
      column.make?.(cell);
      return cell;
    });
    return { element: h("tr", { role: "row" }, cells), cells, index: -1 };
  }

  fillRow(row, index) {
    if (row.index === index && row.version === this.version) return;
    row.version = this.version;
    if (row.index !== index) {
      this.release(row);
      row.index = index;
      row.element.index = index;
      row.element.style.transform = `translateY(${index * ROW_PX}px)`;
      row.element.setAttribute("aria-rowindex", index + 2);
      row.element.classList.toggle("odd", index % 2 === 1);
      if (index === this.active.row) this.setTabStop(row, 0);
    }
    const item = this.items[index];
    for (let c = 0; c < this.columns.length; c += 1) this.columns[c].fill(row.cells[c], item);
    this.drawn.cells += this.columns.length;
  }

  /** A row is about to show something else: the focus must not go along. */
  release(row) {
    const focused = row.element.contains(document.activeElement);
    if (row.index === this.active.row && row.index >= 0) this.setTabStop(row, -1);
    if (focused) {
      this.table.tabIndex = 0;
      this.table.focus({ preventScroll: true });
    }
  }

  setTabStop(row, value) {
    const cell = row.cells[this.active.column];
    const target = cell?.querySelector("a, button") ?? cell;
    if (target) target.tabIndex = value;
  }

  rowAt(index) {
    return this.rows.find((row) => row.index === index);
  }

  targetOf(row, column) {
    if (row === HEADER) return this.heads[column];
    const cell = this.rowAt(row)?.cells[column];
    return cell?.querySelector("a, button") ?? cell;
  }

  /** Makes a cell the active one, brings it into sight and gives it the focus. */
  moveTo(rowIndex, columnIndex) {
    const row = Math.max(HEADER, Math.min(rowIndex, this.items.length - 1));
    const column = Math.max(0, Math.min(columnIndex, this.columns.length - 1));
    const old = this.targetOf(this.active.row, this.active.column);
    this.active = { row, column };
    if (row >= 0) this.bringIntoSight(row);
    const target = this.targetOf(row, column);
    if (!target) return;
    if (old && old !== target) old.tabIndex = -1;
    target.tabIndex = 0;
    target.focus({ preventScroll: true });
    this.table.removeAttribute("tabindex");
    target.closest("th, td").scrollIntoView({ block: "nearest", inline: "nearest" });
    if (row >= 0) this.bringIntoSight(row);
  }

  bringIntoSight(row) {
    const head = this.headCells[0].offsetHeight;
    const top = row * ROW_PX;
    const room = this.element.clientHeight - head;
    const from = this.element.scrollTop;
    if (top < from) this.element.scrollTop = top;
    else if (top + ROW_PX > from + room) this.element.scrollTop = top + ROW_PX - room;
    this.draw();
  }

  onKey(event) {
    if (event.altKey || event.metaKey) return;
    const { row, column } = this.active;
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_PX) - 2);
    const last = this.items.length - 1;
    const moves = {
      ArrowDown: [row + 1, column],
      ArrowUp: [row - 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      Home: [event.ctrlKey ? Math.min(0, last) : row, event.ctrlKey ? column : 0],
      End: [event.ctrlKey ? last : row, event.ctrlKey ? column : this.columns.length - 1],
      PageDown: [row + page, column],
      PageUp: [Math.max(row - page, row === HEADER ? HEADER : Math.min(0, last)), column],
    };
    if (moves[event.key]) {
      event.preventDefault();
      this.moveTo(...moves[event.key]);
    } else if (event.key === "Enter" && row >= 0 && event.target.tagName !== "A" && event.target.tagName !== "BUTTON") {
      event.preventDefault();
      if (this.items[row] !== undefined) this.onOpen(this.items[row]);
    }
  }

  /** The focus came some other way than by arrows: a click, or back into the table by Tab. */
  onFocus(event) {
    if (event.target === this.table) return;
    const cell = event.target.closest("th, td");
    const row = cell?.closest("tr");
    if (!cell) return;
    const at = { row: row.index ?? HEADER, column: Number(cell.getAttribute("aria-colindex")) - 1 };
    if (at.row === this.active.row && at.column === this.active.column) return;
    const old = this.targetOf(this.active.row, this.active.column);
    if (old && old !== event.target) old.tabIndex = -1;
    this.active = at;
    event.target.tabIndex = 0;
    this.table.removeAttribute("tabindex");
  }

  onClick(event) {
    const row = event.target.closest("tr");
    if (!row || event.target.closest("a, button") || getSelection().toString() !== "") return;
    const item = this.items[row.index];
    if (item !== undefined) this.onOpen(item);
  }

  /** Whether the user is in the table with the keyboard. */
  get hasFocus() {
    return this.body.contains(document.activeElement);
  }
}
