/* The list: rows come, change, move and go by frames; pages come by scrolling; counts are the server's. */

import { fragment } from "./api.js";
import { find, findAll, parse, show, slot } from "./dom.js";
import { clock, t } from "./format.js";
import { belongsToInputMethod } from "./ime.js";
import { fillDraft, fillRow, rowElement, select, setTyping, tick } from "./row.js";

const MOST_ROWS = 200;
const HOLD_MS = 2000;
const TYPING_MS = 6000;

export class List {
  constructor({ pane, username, teams, query }) {
    Object.assign(this, { pane, username, teams, query, selected: null, pointerAt: 0 });
    this.scroll = find("#list-scroll", pane);
    this.pill = find("#new-rows", pane);
    this.newAbove = 0;
    this.typing = new Map();
    this.scroll.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.scroll.addEventListener("pointermove", () => { this.pointerAt = Date.now(); }, { passive: true });
    this.scroll.addEventListener("pointerleave", () => { this.pointerAt = 0; this.settle(); });
    this.scroll.addEventListener("keydown", (event) => this.onKey(event));
    this.pill.addEventListener("click", () => this.scroll.scrollTo({ top: 0, behavior: "smooth" }));
    setInterval(() => this.tick(), 20_000);
    this.showFilters();
    this.afterChange();
    this.tick();
  }

  get list() { return find("#list", this.scroll); }
  get rows() { return [...this.list.children]; }
  get bucket() { return this.query.get("bucket") ?? "mine"; }

  get sort() { return this.query.get("sort") ?? (this.bucket === "unassigned" ? "waiting" : "activity"); }

  row(id) {
    return this.rows.find((row) => row.dataset.id === id);
  }

  /** A conversation changed, or is new to us. */
  update(conversation) {
    const row = this.row(conversation.id);
    if (!this.belongs(conversation)) return this.remove(conversation.id);
    if (row) {
      fillRow(row, conversation);
    } else {
      this.insert(rowElement(conversation));
    }
    this.settle();
    this.afterChange();
  }

  belongs(conversation) {
    const status = this.query.get("status");
    if (this.query.get("unread") === "1" && !conversation.unread) return false;
    if (status) return conversation.status === status;
    if (conversation.buckets) return conversation.buckets.includes(this.bucket);
    if (conversation.status === "resolved") return false;
    return {
      mine: conversation.assignee === this.username,
      unassigned: conversation.status === "queued",
      team: this.teams.includes(conversation.team),
      all: true,
    }[this.bucket];
  }

  insert(row) {
    const height = this.scroll.scrollHeight;
    const next = this.rows.find((other) => this.before(row, other));
    // Behind the last loaded row only the server knows what stands.
    if (!next && this.list.dataset.next) return;
    this.list.insertBefore(row, next ?? null);
    if (this.scroll.scrollTop > 0) this.keepPlace(height, row);
    if (this.rows.length > MOST_ROWS) this.rows.at(-1).remove();
  }

  /** Nothing jumps under the reader: what comes in above is told by the pill. */
  keepPlace(height, row) {
    if (row.offsetTop > this.scroll.scrollTop) return;
    this.scroll.scrollTop += this.scroll.scrollHeight - height;
    this.newAbove += 1;
    find("span", this.pill).textContent = t("new_rows", { n: this.newAbove });
    show(this.pill, true);
  }

  remove(id) {
    this.row(id)?.remove();
    this.afterChange();
  }

  /** Rows change place only when nobody points at them. */
  settle() {
    clearTimeout(this.settleTimer);
    const heldMs = HOLD_MS - (Date.now() - this.pointerAt);
    if (heldMs > 0 || this.list.contains(document.activeElement)) {
      this.settleTimer = setTimeout(() => this.settle(), Math.max(heldMs, 500));
      return;
    }
    const sorted = this.rows.sort((a, b) => (this.before(a, b) ? -1 : 1));
    sorted.forEach((row, index) => {
      if (this.list.children[index] !== row) this.list.insertBefore(row, this.list.children[index] ?? null);
    });
  }

  before(row, other) {
    const { sort } = this;
    if (sort === "waiting") return (row.dataset.waiting || "z") < (other.dataset.waiting || "z");
    if (sort === "priority") return rank(row) > rank(other);
    const key = sort === "created" ? "created" : "updated";
    return row.dataset[key] > other.dataset[key];
  }

  afterChange() {
    show(find("#list-empty", this.scroll), this.rows.length === 0);
    this.select(this.selected);
  }

  /** One row is in the tab order, the open one or the first; arrows move between rows. */
  select(number) {
    this.selected = number;
    select(this.list, number);
    const rows = this.rows;
    const entry = rows.find((row) => row.dataset.number === String(number)) ?? rows[0];
    for (const row of rows) slot(row, "link").tabIndex = row === entry ? 0 : -1;
  }

  onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest(".row-item");
    if (!step || !row || belongsToInputMethod(event)) return;
    event.preventDefault();
    const next = this.rows[this.rows.indexOf(row) + step];
    if (next) slot(next, "link").focus();
  }

  setCounts(counts) {
    for (const element of findAll("[data-count]", this.pane)) {
      element.textContent = counts[element.dataset.count] ?? 0;
    }
    show(find("#claim-next", this.scroll), counts.unassigned > 0);
  }

  setTyping(id, on) {
    const row = this.row(id);
    clearTimeout(this.typing.get(id));
    if (row) setTyping(row, on);
    if (on) this.typing.set(id, setTimeout(() => this.setTyping(id, false), TYPING_MS));
  }

  markDrafts() {
    this.rows.forEach(fillDraft);
  }

  tick() {
    this.rows.forEach((row) => row.dataset.status && tick(row));
  }

  scrolled() {
    if (this.scroll.scrollTop < 40) {
      this.newAbove = 0;
      show(this.pill, false);
    }
    const left = this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight;
    if (left < 400) this.loadMore();
  }

  url(before = "") {
    const query = new URLSearchParams(this.query);
    if (before) query.set("before", before);
    if (this.selected) query.set("selected", this.selected);
    return `/console/fragments/list/?${query}`;
  }

  async loadMore() {
    const before = this.list.dataset.next;
    if (!before || this.loading) return;
    this.loading = true;
    try {
      const page = find("#list", parse(await fragment(this.url(before))));
      this.list.dataset.next = page.dataset.next;
      const known = new Set(this.rows.map((row) => row.dataset.id));
      this.list.append(...[...page.children].filter((row) => !known.has(row.dataset.id)));
      this.afterChange();
    } catch {
      // The next scroll asks again.
    }
    this.loading = false;
  }

  /** The list anew: after a reconnect, or for another bucket. Slow answers dim it, nothing goes blank. */
  async reload({ keepScroll = true } = {}) {
    const busy = setTimeout(() => this.pane.setAttribute("aria-busy", "true"), 2000);
    const pages = keepScroll ? Math.min(8, Math.ceil(this.rows.length / 25)) : 1;
    const top = keepScroll ? this.scroll.scrollTop : 0;
    const asked = this.url();
    try {
      const html = await fragment(asked);
      if (asked !== this.url()) return;
      this.scroll.replaceChildren(parse(html));
      for (let page = 1; page < pages; page += 1) await this.loadMore();
      this.scroll.scrollTop = top;
      this.markDrafts();
      this.afterChange();
    } finally {
      clearTimeout(busy);
      this.pane.removeAttribute("aria-busy");
    }
  }

  /** One parameter of the list's address changed; "" takes it out. */
  async filter(name, value) {
    const query = new URLSearchParams(this.query);
    if (value) query.set(name, value);
    else query.delete(name);
    await this.show(query);
  }

  showFilters() {
    find("#only-unread", this.pane).setAttribute("aria-pressed", this.query.get("unread") === "1");
    find("#list-sort", this.pane).value = this.sort;
  }

  async show(query) {
    this.query = query;
    this.showFilters();
    document.body.dataset.bucket = this.bucket;
    for (const tab of findAll("#buckets .tab", this.pane)) {
      if (tab.dataset.bucket === this.bucket) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    await this.reload({ keepScroll: false });
  }

  setOffline(offline) {
    const stamp = find("#list-stamp", this.pane);
    show(stamp, offline);
    if (offline) find("span", stamp).textContent = t("list_as_of", { time: clock(new Date()) });
  }

  /** The row that stands `step` after the selected one; the first where none is. */
  neighbour(step, fits = () => true) {
    const rows = this.rows;
    const at = rows.findIndex((row) => row.dataset.number === String(this.selected));
    const order = step > 0 ? rows.slice(at + 1) : rows.slice(0, Math.max(at, 0)).reverse();
    return order.find(fits) ?? null;
  }
}

function rank(row) {
  const urgent = !slot(row, "urgent").hidden;
  return (urgent ? 2 : 0) + (slot(row, "high").hidden ? 0 : 1) + Date.parse(row.dataset.updated) / 1e14;
}
