/* How far the visitor has read the conversation that the log holds; kept, so that another tab and a reload know. */

export class Reading {
  constructor({ store, log, send }) {
    Object.assign(this, { store, log, send });
  }

  get upTo() {
    const read = this.store.get("read");
    return read && read.conversation === this.log.conversation ? read.seq : 0;
  }

  get unread() {
    return [...this.log.rows.values()].filter((row) => row.kind === "outgoing" && row.seq > this.upTo);
  }

  /** All up to here has been before the visitor's eyes. False where that says nothing new, or nobody hears it. */
  mark() {
    const seq = this.log.high;
    if (seq <= this.upTo || !this.send({ type: "read", seq })) return false;
    this.store.set("read", { conversation: this.log.conversation, seq });
    return true;
  }
}
