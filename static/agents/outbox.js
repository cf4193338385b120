/* What an agent wrote and the server has not confirmed. Kept in storage, sent one by one for each conversation with
   its client_id, and sent again after every interruption: the server stores a client_id once. */

import { loadAll, remove, save } from "./store.js";

const ACK_MS = 10_000;
// These say "later": the message stays in the line.
const LATER = { rate_limited: 3, unavailable: 2 };

export class Outbox extends EventTarget {
  constructor({ socket, username }) {
    super();
    Object.assign(this, { socket, prefix: `kefu.outbox.${username}.` });
    // One key for each message: tabs do not write over each other, and both may send it, by the same client_id.
    this.items = loadAll(this.prefix).filter(Boolean).sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
    this.pause();
    socket.on("state", ({ state }) => (state === "live" ? this.pump() : this.pause()));
    socket.on("ack", (frame) => this.acked(frame));
    socket.on("error", (frame) => frame.client_id && this.refused(frame));
    const timer = setInterval(() => this.resendLate(), 2000);
    timer.unref?.();
  }

  of(conversation) {
    return this.items.filter((item) => item.conversation === conversation);
  }

  /** base: the last seq that stood on the screen when this was sent; notes need none. */
  add({ conversation, text, note, attachments, base, author, identity = null, inbox = null }) {
    const item = {
      client_id: crypto.randomUUID?.() ?? fallbackId(),
      conversation, text, note, attachments, author, inbox,
      identity: note ? null : identity,
      base: note ? null : base,
      state: this.socket.isReady ? "sending" : "outbox",
      created_at: new Date().toISOString(),
      sentAt: null,
    };
    this.items.push(item);
    this.changed(item);
    this.pump();
    return item;
  }

  /** Send the head of each conversation's line that is not on its way. */
  pump() {
    const seen = new Set();
    for (const item of this.items) {
      if (seen.has(item.conversation) || item.state === "failed") continue;
      seen.add(item.conversation);
      if (item.state !== "held" && !item.sentAt && !(item.notBefore > Date.now())) this.push(item);
    }
  }

  push(item) {
    const frame = {
      type: "message", conversation: item.conversation, client_id: item.client_id, text: item.text, note: item.note,
      attachments: item.attachments.map((file) => file.id), identity: item.identity ?? null, if_last_seq: item.base,
    };
    if (!this.socket.send(frame)) return;
    item.sentAt = Date.now();
    item.state = "sending";
    this.changed(item);
  }

  pause() {
    for (const item of this.items) {
      item.sentAt = null;
      if (item.state === "sending") item.state = "outbox";
      this.changed(item);
    }
  }

  resendLate() {
    for (const item of this.items) if (item.sentAt && Date.now() - item.sentAt > ACK_MS) item.sentAt = null;
    this.pump();
  }

  acked({ client_id, ...ack }) {
    const item = this.take(client_id);
    if (!item) return;
    for (const later of this.of(item.conversation)) if (later.base !== null && later.base < ack.seq) later.base = ack.seq;
    this.dispatchEvent(new CustomEvent("acked", { detail: { item, ack } }));
    this.pump();
  }

  refused({ client_id, code, detail, retry_after_s: retryAfter, ...rest }) {
    const item = this.items.find((one) => one.client_id === client_id);
    if (!item) return;
    item.sentAt = null;
    if (code in LATER) {
      item.notBefore = Date.now() + 1000 * (retryAfter ?? LATER[code]);
    } else if (code === "moved_on") {
      this.movedOn(item, rest);
    } else {
      Object.assign(item, { state: "failed", code, detail });
    }
    this.changed(item);
    this.pump();
  }

  /** Others wrote meanwhile: hold the message until the agent says. What is only ours or the system's does not count. */
  movedOn(item, { messages = [], last_seq: lastSeq }) {
    this.dispatchEvent(new CustomEvent("missed", { detail: { conversation: item.conversation, messages } }));
    item.base = lastSeq;
    const byOthers = messages.some(({ kind, author }) => kind === "incoming" || (kind === "outgoing" && author.name !== item.author.name));
    item.state = byOthers || !messages.length ? "held" : "sending";
  }

  retry(clientId) {
    const item = this.items.find((one) => one.client_id === clientId);
    if (!item) return;
    Object.assign(item, { state: this.socket.isReady ? "sending" : "outbox", sentAt: null, code: null });
    this.changed(item);
    this.pump();
  }

  take(clientId) {
    const item = this.items.find((one) => one.client_id === clientId);
    if (!item) return undefined;
    this.items = this.items.filter((one) => one !== item);
    remove(this.prefix + clientId);
    this.dispatchEvent(new CustomEvent("changed", { detail: item }));
    return item;
  }

  changed(item) {
    save(this.prefix + item.client_id, item);
    this.dispatchEvent(new CustomEvent("changed", { detail: item }));
  }
}

/** Pages over plain HTTP have no randomUUID. */
function fallbackId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
