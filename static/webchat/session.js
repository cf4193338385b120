/* One visitor's session: joins connection, log, outbox, signs and tabs, and tells the page what changed. It knows frames and
   nothing of the page; `changed()` is called after every change, `told(event, detail)` for what the host page may hear. */

import { Connection } from "./connection.js";
import { Fetches } from "./fetches.js";
import { Log } from "./log.js";
import { acknowledged, Outbox } from "./outbox.js";
import { Reading } from "./reading.js";
import { Sender } from "./sender.js";
import { Signs } from "./signs.js";
import { Tabs } from "./tabs.js";

const PUMP_EVERY_MS = 2_000;

export class Session {
  constructor({ url, store, page = () => null, locale = "", changed, told = () => {}, connection = Connection }) {
    Object.assign(this, { store, page, locale, changed, told });
    this.log = new Log();
    this.outbox = new Outbox(store);
    this.tabs = new Tabs(store, (word) => this.#heardFromTab(word));
    this.signs = new Signs(() => this.changed());
    const send = (frame) => this.connection.send(frame);
    const isOpen = () => this.state === "ready" && !this.blocked;
    this.sender = new Sender({ outbox: this.outbox, send, isOpen, changed: () => this.changed() });
    this.fetches = new Fetches(this.log, send);
    this.reading = new Reading({ store, log: this.log, send });
    this.identity = null;
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
      readByStaff: 0,
      rated: null,
      blocked: false,
      wantsHandoff: false,
    });
    this.signs.forget();
    this.sender.resume();
    this.fetches.stopLookingBack();
  }

  // What the page may ask for.

  start() {
    this.connection.start();
  }

  get state() {
    return this.connection.state;
  }

  get limited() {
    return this.sender.limited;
  }

  get pausedUntil() {
    return this.sender.pausedUntil;
  }

  get growing() {
    return this.signs.growing;
  }

  get typingUntil() {
    return this.signs.typingUntil;
  }

  get thinkingUntil() {
    return this.signs.thinkingUntil;
  }

  get hasHistory() {
    return Boolean(this.store.get("token")) || !this.outbox.isEmpty;
  }

  post({ text, attachments = [], reply_to = null }) {
    this.outbox.add({ text, attachments, reply_to });
    this.tabs.say("outbox");
    this.start();
    this.sender.pump();
    this.changed();
  }

  retry(clientId) {
    this.outbox.retry(clientId);
    this.sender.pump();
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
    if (!this.reading.mark()) return;
    this.tabs.say("read");
    this.changed();
  }

  get unread() {
    return this.reading.unread;
  }

  lookBack() {
    this.fetches.lookBack();
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
    this.fetches.forget();
    return {
      type: "hello", token: this.token, conversation: this.log.conversation, after: this.log.high,
      identity: this.identity, page: this.page(), locale: this.locale,
    };
  }

  #heard(frame) {
    const take = this[`on_${frame.type}`];
    if (!take) return; // A newer server may say more than we know.
    take.call(this, frame);
    this.fetches.fillGap();
    this.changed();
  }

  on_ready(frame) {
    if (!this.#adoptToken(frame.token)) return;
    if (this.contact && frame.contact !== this.contact) this.log.forget();
    Object.assign(this, { contact: frame.contact, inbox: frame.inbox, blocked: false });
    this.sender.resume();
    if (frame.conversation || !this.isResolved) this.#conversationIs(frame.conversation, frame.queue ?? this.queue);
    const fresh = this.log.high === 0;
    if (frame.more && fresh) this.#startAtEnd(frame.last_seq);
    else this.#caughtUp(frame);
    if (this.wantsHandoff) this.handOff();
    this.sender.pump();
    this.told("ready", {});
  }

  /** A long log: shows its end first. */
  #startAtEnd(lastSeq) {
    this.log.startAt(lastSeq);
    this.fetches.before(lastSeq + 1);
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
    this.sender.pump();
    this.told("message:sent", { id: frame.id });
  }

  #think() {
    const owner = this.conversation?.owner?.kind ?? "bot";
    if (owner === "bot") this.signs.thinking();
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
    this.signs.answered(message);
    this.told("message:received", { id: message.id, text: message.text });
  }

  on_messages(frame) {
    for (const message of this.fetches.answered(frame)) this.outbox.settle(message.client_id);
  }

  on_delta(frame) {
    if (!this.#isAnswered(frame.reply_to)) this.signs.grows(frame.reply_to, frame.text);
  }

  #isAnswered(id) {
    return [...this.log.rows.values()].some((row) => row.reply_to === id && row.author.kind === "bot");
  }

  on_status(frame) {
    const before = this.conversation?.status;
    this.#conversationIs(frame.conversation, frame.queue);
    if (frame.conversation?.owner?.kind !== "bot") this.signs.botLeft();
    if (before !== "resolved" && this.isResolved) this.told("conversation:resolved", { id: this.conversation.id });
  }

  on_rated(frame) {
    this.rated = frame.score;
  }

  on_typing(frame) {
    this.signs.typing(frame.on);
  }

  on_read(frame) {
    this.readByStaff = Math.max(this.readByStaff, frame.seq);
  }

  on_error(frame) {
    if (frame.code === "blocked") this.blocked = true;
    if (frame.client_id) this.sender.refused(frame);
    if (frame.code === "invalid" && !frame.client_id) this.fetches.refused();
    this.told("error", { code: frame.code, detail: frame.detail });
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
    this.fetches.forget();
    Object.assign(this, { conversation: id ? { id } : null, queue: null, readByStaff: 0, rated: null });
    if (id) this.told("conversation:created", { id });
  }

  #tick() {
    if (this.state === "ready" && this.sender.isStuck) this.connection.lost();
    this.sender.pump();
  }

  #connectionIs(state, reason) {
    this.closedBecause = reason;
    if (state === "waiting" || state === "ended") {
      this.outbox.disconnected();
      this.signs.forget();
      this.fetches.stopLookingBack();
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
