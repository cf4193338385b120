/* Messages not yet acknowledged. Each is stored under its own name before it is sent, and goes only when the server has
   acknowledged its client_id; sent again after any interruption, it is stored there once. One name for each message means
   that two tabs never overwrite each other's list. */

const START = "out:";
/* Another tab's message that still lies here after this long is sent by us: its tab is gone or cut off. */
export const ADOPT_AFTER_MS = 10_000;
/* Frames under way at once: enough to fill a slow line, few enough to stop at once when told to. */
export const WINDOW = 16;

let counter = 0;

/** A name that sorts by time, then by order within this tab. */
function nameFor(now, clientId) {
  counter += 1;
  return `${START}${String(now).padStart(14, "0")}:${String(counter).padStart(6, "0")}:${clientId}`;
}

/** 32 random hex digits. crypto.randomUUID is missing on pages without TLS. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A message as the server will tell it, made of what we sent and its acknowledgement. */
export function acknowledged(entry, frame) {
  const { client_id, text, attachments, reply_to } = entry;
  return {
    id: frame.id, conversation: frame.conversation, seq: frame.seq, client_id, kind: "incoming",
    author: { kind: "contact", name: "", avatar: null }, text, attachments, reply_to, status: "sent",
    created_at: frame.created_at,
  };
}

export class Outbox {
  /** `now` gives milliseconds, `uuid` a new client id. */
  constructor(store, { now = Date.now, uuid = newId } = {}) {
    Object.assign(this, { store, now, uuid });
    this.entries = [];
    this.reload({ own: true });
  }

  /** Brings memory in step with the store after another tab wrote. Entries already known keep their state. */
  reload({ own = false } = {}) {
    if (!this.store.persistent) return;
    const known = new Map(this.entries.map((entry) => [entry.name, entry]));
    const names = this.store.names(START);
    const stored = names.map((name) => known.get(name) ?? this.#read(name, own)).filter(Boolean);
    const unsaved = this.entries.filter((entry) => !entry.saved);
    this.entries = [...stored, ...unsaved].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #read(name, own) {
    const value = this.store.get(name);
    if (!value) return null;
    return { ...value, name, saved: true, state: value.failed ? "failed" : "queued", foreign: !own, seenAt: this.now() };
  }

  add({ text = "", attachments = [], reply_to = null }) {
    const created = this.now();
    const client_id = this.uuid();
    const entry = { client_id, text, attachments, reply_to, created, name: nameFor(created, client_id), state: "queued" };
    this.entries.push(entry);
    this.#save(entry);
    return entry;
  }

  #save(entry) {
    const { client_id, text, attachments, reply_to, created, failed } = entry;
    entry.saved = this.store.set(entry.name, { client_id, text, attachments, reply_to, created, failed });
  }

  find(clientId) {
    return this.entries.find((entry) => entry.client_id === clientId) ?? null;
  }

  /** Acknowledged, or given up: gone from here. Returns the entry, or null if it was not ours. */
  settle(clientId) {
    const entry = this.find(clientId);
    if (!entry) return null;
    this.entries.splice(this.entries.indexOf(entry), 1);
    this.store.remove(entry.name);
    return entry;
  }

  fail(clientId, code) {
    const entry = this.find(clientId);
    if (!entry) return;
    Object.assign(entry, { state: "failed", failed: code });
    this.#save(entry);
  }

  retry(clientId) {
    const entry = this.find(clientId);
    if (!entry) return;
    Object.assign(entry, { state: "queued", failed: undefined, foreign: false });
    this.#save(entry);
  }

  /** Nothing is under way any more: all that was sent may be lost and is sent again, in order. */
  disconnected() {
    for (const entry of this.entries) {
      entry.foreign = false;
      if (entry.state === "sending") entry.state = "queued";
    }
  }

  /** Puts one message back, and those after it that are under way, so that order holds. */
  requeue(clientId) {
    const from = this.entries.findIndex((entry) => entry.client_id === clientId);
    if (from < 0) return;
    for (const entry of this.entries.slice(from)) if (entry.state === "sending") entry.state = "queued";
  }

  #ripe(entry) {
    return !entry.foreign || this.now() - entry.seenAt > ADOPT_AFTER_MS;
  }

  /** The messages to send now, oldest first; marks them as under way. */
  take() {
    const flying = this.entries.filter((entry) => entry.state === "sending").length;
    const waiting = this.entries.filter((entry) => entry.state === "queued" && this.#ripe(entry));
    const batch = waiting.slice(0, Math.max(0, WINDOW - flying));
    for (const entry of batch) Object.assign(entry, { state: "sending", sentAt: this.now() });
    return batch;
  }

  /** True if something has been under way for longer than `ms` without an answer. */
  isStuck(ms) {
    return this.entries.some((entry) => entry.state === "sending" && this.now() - entry.sentAt > ms);
  }

  get isEmpty() {
    return this.entries.length === 0;
  }

  clear() {
    for (const entry of [...this.entries]) this.settle(entry.client_id);
  }
}
