/* The outbox's way out: hands its messages to the socket, and waits where the server says so. */

const ACK_LATE_MS = 12_000;
const UNAVAILABLE_PAUSE_S = 3;
/* Errors after which sending the same thing again cannot help. */
const FINAL_CODES = new Set(["invalid", "too_large", "blocked"]);

export class Sender {
  /** `send(frame)` hands a frame to the socket; `isOpen()` says whether anything may be sent now. */
  constructor({ outbox, send, isOpen, changed }) {
    Object.assign(this, { outbox, send, isOpen, changed });
    this.resume();
  }

  /** No pause holds any more. */
  resume() {
    this.pausedUntil = 0;
    this.limited = false;
  }

  pump() {
    if (!this.isOpen() || Date.now() < this.pausedUntil) return;
    for (const { client_id, text, attachments, reply_to } of this.outbox.take()) {
      const uploads = attachments.map((upload) => upload.id);
      this.send({ type: "message", client_id, text, attachments: uploads, reply_to });
    }
  }

  get isStuck() {
    return this.outbox.isStuck(ACK_LATE_MS);
  }

  /** The server refused a message: for good, or for now. */
  refused({ client_id, code, retry_after_s }) {
    if (FINAL_CODES.has(code)) return this.outbox.fail(client_id, code);
    this.outbox.requeue(client_id);
    this.limited = code === "rate_limited";
    this.pausedUntil = Date.now() + (retry_after_s ?? UNAVAILABLE_PAUSE_S) * 1000;
    setTimeout(() => this.#pauseOver(), this.pausedUntil - Date.now() + 20);
  }

  #pauseOver() {
    if (Date.now() < this.pausedUntil) return;
    this.limited = false;
    this.pump();
    this.changed();
  }
}
