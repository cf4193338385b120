/* Asking for what the log lacks: gaps, and older messages. Answers come in the order of the questions. */

const PAGE = 50; // messages in one look back
const GAP_PAGE = 100;

export class Fetches {
  constructor(log, send) {
    Object.assign(this, { log, send });
    this.forget();
  }

  /** A new socket, or another conversation: nothing of what was asked will be answered. */
  forget() {
    this.asks = []; // without an answer yet, in order
  }

  /** Another visit or a lost line: whoever looks back asks again. */
  stopLookingBack() {
    this.lookingBack = false;
  }

  lookBack() {
    if (this.lookingBack || !this.log.hasOlder) return;
    this.lookingBack = this.before(this.log.low + 1);
  }

  before(seq) {
    return this.#ask({ before: seq }, PAGE);
  }

  fillGap() {
    const after = this.log.gap;
    if (after === null || this.asks.some((ask) => ask.after === after)) return;
    this.#ask({ after }, GAP_PAGE);
  }

  #ask(range, limit) {
    if (!this.send({ type: "fetch", ...range, limit })) return false;
    this.asks.push({ ...range, top: this.log.top });
    return true;
  }

  /** Takes one answer into the log; the messages of it that belong there. */
  answered({ messages, skipped, more }) {
    const ask = this.asks.shift() ?? {};
    const mine = messages.filter((message) => message.conversation === this.log.conversation);
    this.log.accept(mine, skipped);
    if (ask.before) this.lookingBack = false;
    if (ask.before && !more) this.log.reachedStart();
    if (ask.after !== undefined && !more) this.log.settle(ask.top);
    return mine;
  }

  refused() {
    this.asks.shift();
  }
}
