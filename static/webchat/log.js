/* The ordered log of one conversation. Every message has a number (seq: 1, 2, 3 …); numbers that a visitor may not see
   are named as skipped. The log always knows one unbroken stretch (low, high], so a missing number shows as a gap and is
   fetched, never guessed. Pure: no socket, no page. */

const bySeq = (a, b) => a.seq - b.seq;

export class Log {
  constructor() {
    this.forget();
  }

  /** Drops everything: another person sits here now. */
  forget() {
    this.past = []; // messages of earlier conversations of this visit, in order
    this.#open(null);
  }

  #open(conversation) {
    this.conversation = conversation;
    this.rows = new Map();
    this.skipped = new Set();
    this.low = 0; // everything in (low, high] is known
    this.high = 0;
    this.top = 0; // the highest number heard of
  }

  /** Goes on with another conversation; what was shown stays above it. */
  begin(conversation) {
    if (conversation === this.conversation) return false;
    this.past.push(...this.#ordered());
    this.#open(conversation);
    return true;
  }

  /** Starts the known stretch at the end of a long log; older messages are fetched on demand. */
  startAt(seq) {
    const conversation = this.conversation;
    this.#open(conversation);
    this.low = this.high = this.top = seq;
  }

  /** Takes messages and skipped numbers in any order, any number of times. */
  accept(messages, skipped = []) {
    for (const message of messages) {
      this.rows.set(message.seq, { ...this.rows.get(message.seq), ...message });
      this.expect(message.seq);
    }
    for (const seq of skipped) {
      this.skipped.add(seq);
      this.expect(seq);
    }
    this.#stretch();
  }

  /** Replaces a message of an earlier conversation, such as one whose status changed. */
  amend(message) {
    const at = this.past.findIndex((row) => row.id === message.id);
    if (at >= 0) this.past[at] = { ...this.past[at], ...message };
    return at >= 0;
  }

  /** A number exists: hold it against what is known. */
  expect(seq) {
    this.top = Math.max(this.top, seq);
  }

  #knows(seq) {
    return this.rows.has(seq) || this.skipped.has(seq);
  }

  #stretch() {
    while (this.#knows(this.high + 1)) this.high += 1;
    while (this.low > 0 && this.#knows(this.low)) this.low -= 1;
  }

  /** The number to fetch after, or null where nothing is missing. */
  get gap() {
    return this.high < this.top ? this.high : null;
  }

  /** The server has said all up to `seq`: what is still unknown there does not exist for us. */
  settle(seq) {
    this.expect(seq);
    this.high = Math.max(this.high, seq);
    this.#stretch();
  }

  /** There is nothing older. */
  reachedStart() {
    this.low = 0;
  }

  get hasOlder() {
    return this.low > 0;
  }

  #ordered() {
    return [...this.rows.values()].sort(bySeq);
  }

  /** All messages to show, oldest first. What lies beyond a gap waits until the gap is filled. */
  get messages() {
    return [...this.past, ...this.#ordered().filter((row) => row.seq > this.low && row.seq <= this.high)];
  }

  has(clientId) {
    const rows = [...this.past, ...this.rows.values()];
    return rows.some((row) => row.client_id === clientId && row.client_id);
  }
}
