/* One visitor's session: joins connection, log, outbox and tabs, and tells the page what changed. It knows frames and
   nothing of the page; `changed()` is called after every change, `told(event, detail)` for what the host page may hear. */

import { Connection } from "./connection.js";
import { Log } from "./log.js";
import { Outbox } from "./outbox.js";
import { Tabs } from "./tabs.js";

const PAGE = 50; // messages in one look back
const TYPING_FADES_MS = 6_000;
const THINKING_ENDS_MS = 15_000;
const GROWING_ENDS_MS = 30_000;
const ACK_LATE_MS = 12_000;
const PUMP_EVERY_MS = 2_000;
const UNAVAILABLE_PAUSE_S = 3;
/* Errors after which sending the same thing again cannot help. */
const FINAL_CODES = new Set(["invalid", "too_large", "blocked"]);

export class Session {
  constructor({ url, store, page = () => null, locale = "", changed, told = () => {}, connection = Connection }) {
    Object.assign(this, { store, page, locale, changed, told });
    this.log = new Log();
    this.outbox = new Outbox(store);
    this.tabs = new Tabs(store, (word) => this.#heardFromTab(word));
    this.identity = null;
    this.asks = []; // fetches without an answer yet, in order
    this.#blank();
    this.connection = new connection({
      url,
      hello: () => this.#hello(),
      onFrame: (frame) => this.#heard(frame),
      onState: (state, reason) => this.#connectionIs(state, reason),
    });
    setInterval(() => this.#tick(), PUMP_EVERY_MS);
  }

  #blank() {
    Object.assign(this, {
      token: this.store.get("token"),
      contact: null,
      conversation: null,
      queue: null,
      inbox: null,
      growing: new Map(), // message id -> {text, at}
      typingUntil: 0,
      thinkingUntil: 0,
      readByStaff: 0,
      rated: null,
      pausedUntil: 0,
      limited: false,
      blocked: false,
      wantsHandoff: false,
      lookingBack: false,
    });
  }

  // What the page may ask for.

  start() {
    this.connection.start();
  }

  get state() {
    return this.connection.state;
  }

  get hasHistory() {
    return Boolean(this.store.get("token")) || !this.outbox.isEmpty;
  }

  post({ text, attachments = [], reply_to = null }) {
    this.outbox.add({ text, attachments, reply_to });
    this.tabs.say("outbox");
    this.start();
    this.#pump();
    this.changed();
  }

  retry(clientId) {
    this.outbox.retry(clientId);
    this.#pump();
    this.changed();
  }

  discard(clientId) {
    this.outbox.settle(clientId);
    this.tabs.say("outbox");
    this.changed();
  }

  handOff() {
    this.wantsHandoff = !this.connection.send({ type: "handoff" });
    this.start();
    this.changed();
  }

  rate(rating) {
    return this.connection.send({ type: "rate", ...rating });
  }

  typing(on, text) {
    this.connection.send(text === undefined ? { type: "typing", on } : { type: "typing", on, text });
  }

  /** All up to here has been before the visitor's eyes. */
  read() {
    const seq = this.log.high;
    if (seq <= this.readUpTo || !this.connection.send({ type: "read", seq })) return;
    this.store.set("read", { conversation: this.log.conversation, seq });
    this.tabs.say("read");
    this.changed();
  }

  get readUpTo() {
    const read = this.store.get("read");
    return read && read.conversation === this.log.conversation ? read.seq : 0;
  }

  get unread() {
    return [...this.log.rows.values()].filter((row) => row.kind === "outgoing" && row.seq > this.readUpTo);
  }

  lookBack() {
    if (this.lookingBack || !this.log.hasOlder) return;
    this.lookingBack = this.#fetch({ before: this.log.low + 1 });
  }

  identify(jwt) {
    if (jwt === this.identity) return;
    this.identity = jwt;
    if (this.connection.state !== "idle") this.connection.restart();
    else if (jwt) this.start();
  }

  /** Another person, or nobody: nothing of this one stays in the browser. */
  reset({ tellTabs = true } = {}) {
    for (const name of ["token", "read", "draft"]) this.store.remove(name);
    this.outbox.clear();
    this.log.forget();
    this.identity = null;
    this.#blank();
    if (tellTabs) this.tabs.say("reset");
    if (this.connection.state !== "idle") this.connection.restart();
    this.changed();
  }

  // Frames.

  #hello() {
    this.sentToken = this.token;
    this.asks = [];
    return {
      type: "hello", token: this.token, conversation: this.log.conversation, after: this.log.high,
      identity: this.identity, page: this.page(), locale: this.locale,
    };
  }

  #heard(frame) {
    const take = this[`on_${frame.type}`];
    if (!take) return; // A newer server may say more than we know.
    take.call(this, frame);
    this.#fillGap();
    this.changed();
  }

  on_ready(frame) {
    if (!this.#adoptToken(frame.token)) return;
    if (this.contact && frame.contact !== this.contact) this.log.forget();
    Object.assign(this, { contact: frame.contact, inbox: frame.inbox, blocked: false, limited: false, pausedUntil: 0 });
    if (frame.conversation || !this.isResolved) this.#conversationIs(frame.conversation, frame.queue ?? this.queue);
    const fresh = this.log.high === 0;
    if (frame.more && fresh) this.#startAtEnd(frame.last_seq);
    else this.#caughtUp(frame);
    if (this.wantsHandoff) this.handOff();
    this.#pump();
    this.told("ready", {});
  }

  /** A long log: shows its end first. */
  #startAtEnd(lastSeq) {
    this.log.startAt(lastSeq);
    this.#fetch({ before: lastSeq + 1 });
  }

  #caughtUp(frame) {
    this.log.accept(frame.messages, frame.skipped);
    if (frame.more) this.log.expect(frame.last_seq);
    else if (frame.conversation) this.log.settle(frame.last_seq);
    for (const message of frame.messages) this.outbox.settle(message.client_id);
  }

  /** False where another tab was given a token first: then this one greets again as the same person. */
  #adoptToken(token) {
    const stored = this.store.get("token");
    if (!this.sentToken && stored && stored !== token) {
      this.token = stored;
      queueMicrotask(() => this.connection.restart());
      return false;
    }
    if (token && token !== stored) {
      this.store.set("token", token);
      this.tabs.say("token");
    }
    this.token = token ?? this.token;
    return true;
  }

  on_ack(frame) {
    const entry = this.outbox.settle(frame.client_id);
    this.tabs.say("outbox");
    if (frame.conversation !== this.log.conversation) this.#newConversation(frame.conversation);
    this.log.accept(entry ? [acknowledged(entry, frame)] : [], frame.skipped ?? []);
    this.log.expect(frame.seq);
    if (entry && !this.log.messages.some((row) => row.id !== frame.id && row.seq > frame.seq)) this.#think();
    this.#pump();
    this.told("message:sent", { id: frame.id });
  }

  #think() {
    const owner = this.conversation?.owner?.kind ?? "bot";
    if (owner === "bot") this.#until("thinkingUntil", THINKING_ENDS_MS);
  }

  on_message({ message, skipped }) {
    if (message.conversation !== this.log.conversation) {
      if (this.log.amend(message)) return;
      this.#newConversation(message.conversation);
    }
    const isNew = !this.log.rows.has(message.seq);
    this.log.accept([message], skipped ?? []);
    this.outbox.settle(message.client_id);
    if (isNew && message.kind === "outgoing") this.#answered(message);
  }

  #answered(message) {
    this.typingUntil = this.thinkingUntil = 0;
    if (message.author.kind === "bot") this.growing.delete(message.reply_to);
    if (message.author.kind !== "bot") this.growing.clear();
    this.told("message:received", { id: message.id, text: message.text });
  }

  on_messages(frame) {
    const ask = this.asks.shift() ?? {};
    const mine = frame.messages.filter((message) => message.conversation === this.log.conversation);
    this.log.accept(mine, frame.skipped);
    for (const message of mine) this.outbox.settle(message.client_id);
    if (ask.before) this.lookingBack = false;
    if (ask.before && !frame.more) this.log.reachedStart();
    if (ask.after !== undefined && !frame.more) this.log.settle(ask.top);
  }

  on_delta(frame) {
    const known = this.growing.get(frame.reply_to)?.text ?? "";
    if (frame.text.length < known.length || this.#isAnswered(frame.reply_to)) return;
    this.thinkingUntil = 0;
    this.growing.set(frame.reply_to, { text: frame.text, at: Date.now() });
    setTimeout(() => this.#forgetStaleGrowth(), GROWING_ENDS_MS + 100);
  }

  #isAnswered(id) {
    return [...this.log.rows.values()].some((row) => row.reply_to === id && row.author.kind === "bot");
  }

  #forgetStaleGrowth() {
    for (const [id, { at }] of this.growing) if (Date.now() - at > GROWING_ENDS_MS) this.growing.delete(id);
    this.changed();
  }

  on_status(frame) {
    const before = this.conversation?.status;
    this.#conversationIs(frame.conversation, frame.queue);
    if (frame.conversation?.owner?.kind !== "bot") {
      this.growing.clear();
      this.thinkingUntil = 0;
    }
    if (before !== "resolved" && this.isResolved) this.told("conversation:resolved", { id: this.conversation.id });
  }

  on_rated(frame) {
    this.rated = frame.score;
  }

  on_typing(frame) {
    this.#until("typingUntil", frame.on ? TYPING_FADES_MS : 0);
  }

  on_read(frame) {
    this.readByStaff = Math.max(this.readByStaff, frame.seq);
  }

  on_error(frame) {
    if (frame.code === "blocked") this.blocked = true;
    if (frame.client_id) this.#refused(frame);
    if (frame.code === "invalid" && this.asks.length && !frame.client_id) this.asks.shift();
    this.told("error", { code: frame.code, detail: frame.detail });
  }

  #refused(frame) {
    if (FINAL_CODES.has(frame.code)) return this.outbox.fail(frame.client_id, frame.code);
    this.outbox.requeue(frame.client_id);
    this.limited = frame.code === "rate_limited";
    this.pausedUntil = Date.now() + (frame.retry_after_s ?? UNAVAILABLE_PAUSE_S) * 1000;
    setTimeout(() => this.#pauseOver(), this.pausedUntil - Date.now() + 20);
  }

  #pauseOver() {
    if (Date.now() < this.pausedUntil) return;
    this.limited = false;
    this.#pump();
    this.changed();
  }

  // Inner life.

  get isResolved() {
    return this.conversation?.status === "resolved";
  }

  #conversationIs(conversation, queue) {
    const id = conversation?.id ?? null;
    if (id !== this.log.conversation) this.#newConversation(id);
    this.conversation = conversation;
    this.queue = conversation?.status === "queued" ? queue ?? null : null;
  }

  #newConversation(id) {
    this.log.begin(id);
    this.asks = [];
    Object.assign(this, { conversation: id ? { id } : null, queue: null, readByStaff: 0, rated: null });
    if (id) this.told("conversation:created", { id });
  }

  #fillGap() {
    const after = this.log.gap;
    if (after === null || this.asks.some((ask) => ask.after === after)) return;
    this.#fetch({ after });
  }

  #fetch(range) {
    const limit = range.before ? PAGE : 100;
    if (!this.connection.send({ type: "fetch", ...range, limit })) return false;
    this.asks.push({ ...range, top: this.log.top });
    return true;
  }

  #pump() {
    if (this.state !== "ready" || this.blocked || Date.now() < this.pausedUntil) return;
    for (const { client_id, text, attachments, reply_to } of this.outbox.take()) {
      const uploads = attachments.map((upload) => upload.id);
      this.connection.send({ type: "message", client_id, text, attachments: uploads, reply_to });
    }
  }

  #tick() {
    if (this.state === "ready" && this.outbox.isStuck(ACK_LATE_MS)) this.connection.lost();
    this.#pump();
  }

  #until(name, milliseconds) {
    this[name] = milliseconds ? Date.now() + milliseconds : 0;
    if (milliseconds) setTimeout(() => this.changed(), milliseconds + 50);
  }

  #connectionIs(state, reason) {
    this.closedBecause = reason;
    if (state === "waiting" || state === "ended") {
      this.outbox.disconnected();
      Object.assign(this, { typingUntil: 0, thinkingUntil: 0, lookingBack: false });
      this.growing.clear();
    }
    this.changed();
  }

  #heardFromTab(word) {
    if (word === "reset") this.reset({ tellTabs: false });
    if (word === "outbox") this.outbox.reload();
    if (word === "token") this.#tokenChanged();
    this.changed();
  }

  #tokenChanged() {
    const token = this.store.get("token");
    if (!token || token === this.token) return;
    this.token = token;
    if (this.connection.state !== "idle") this.connection.restart();
  }
}

/** The message as the server will tell it, made of what we sent and its acknowledgement. */
function acknowledged(entry, frame) {
  const { client_id, text, attachments, reply_to } = entry;
  return {
    id: frame.id, conversation: frame.conversation, seq: frame.seq, client_id, kind: "incoming",
    author: { kind: "contact", name: "", avatar: null }, text, attachments, reply_to, status: "sent",
    created_at: frame.created_at,
  };
}
