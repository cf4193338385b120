/* The open conversation's log: ordered by seq, each number once, gaps asked for; and its place on the screen. */

import { call } from "./api.js";
import { dividerElement, messageElement, placed, sayWords } from "./bubble.js";
import { find, findAll, show, slot } from "./dom.js";
import { t } from "./format.js";
import { announce } from "./toasts.js";

const NEAR_END_PX = 80;
const OLDER_AT_PX = 200;
const OLDER_COUNT = 50;

export class Thread {
  /** messages: contiguous payloads by seq, already drawn in `root` by the server. */
  constructor({ root, socket, conversation, messages, me, onNews }) {
    Object.assign(this, { root, socket, conversation, me, onNews });
    this.bySeq = new Map(messages.map((message) => [message.seq, message]));
    this.first = messages[0]?.seq ?? conversation.last_seq + 1;
    this.last = messages.at(-1)?.seq ?? conversation.last_seq;
    this.ahead = new Map();
    this.unseen = 0;
    this.stream = find("#stream", root);
    this.box = find("#messages", root);
    this.pill = find("#to-latest", root);
    this.hasOlder = Boolean(this.stream.dataset.older);
    this.stream.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.pill.addEventListener("click", () => this.toEnd(true));
    this.findMarks();
    this.openAtUnread();
  }

  /** The server draws words alone: their links and marks are found here. */
  findMarks() {
    for (const element of findAll(".msg[data-look]", this.box)) {
      sayWords(element, slot(element, "text").textContent, element.dataset.look);
    }
  }

  subscribe() {
    this.socket.send({ type: "subscribe", conversation: this.conversation.id, after: this.last });
  }

  openAtUnread() {
    const incoming = [...this.bySeq.values()].filter((message) => message.kind === "incoming");
    const firstNew = this.conversation.unread ? incoming.at(-this.conversation.unread) ?? incoming[0] : null;
    if (!firstNew) return this.toEnd();
    const line = this.newLine(this.conversation.unread);
    this.element(firstNew.seq)?.before(line);
    line.scrollIntoView({ block: "start" });
    if (this.isAtEnd()) this.toEnd();
  }

  newLine(count) {
    const line = document.createElement("div");
    line.className = "divider divider-new";
    const words = document.createElement("span");
    words.className = "divider-text";
    words.textContent = t("new_messages", { n: count });
    line.append(words);
    return line;
  }

  element(seq) {
    return find(`[data-seq="${seq}"]`, this.box);
  }

  /** Messages in any order, old ones and repeated ones among them. */
  receive(messages) {
    const atEnd = this.isAtEnd();
    const added = [];
    for (const message of [...messages].sort((a, b) => a.seq - b.seq)) {
      if (this.bySeq.has(message.seq)) this.replace(message);
      else if (message.seq > this.last) this.ahead.set(message.seq, message);
    }
    while (this.ahead.has(this.last + 1)) added.push(this.append(this.ahead.get(this.last + 1)));
    if (this.ahead.size) this.askForGap();
    if (added.length) this.showNews(added, atEnd);
    return added;
  }

  append(message) {
    const before = this.bySeq.get(this.last);
    this.ahead.delete(message.seq);
    this.bySeq.set(message.seq, message);
    this.last = message.seq;
    const place = placed(before, message);
    if (place.divider) this.box.append(dividerElement(message, place.channel));
    const element = this.make(message, place.first);
    element.classList.add("is-new");
    this.box.append(element);
    return message;
  }

  make(message, first) {
    return messageElement(message, { first, contactId: this.conversation.contact.id });
  }

  /** A message that changed (delivered, read, failed, edited) keeps its place. */
  replace(message) {
    const old = this.element(message.seq);
    this.bySeq.set(message.seq, message);
    if (!old) return;
    const { thumb } = old.contains(document.activeElement) ? document.activeElement.dataset : {};
    const made = this.make(message, old.classList.contains("is-first"));
    old.replaceWith(made);
    if (thumb) find(`[data-thumb=${thumb}]`, made).focus();
  }

  askForGap() {
    if (this.asked === this.last) return;
    this.asked = this.last;
    this.onNews("gap", this.ahead.size);
    this.subscribe();
    setTimeout(() => { this.asked = null; if (this.ahead.size) this.askForGap(); }, 2000);
  }

  showNews(added, atEnd) {
    const incoming = added.filter((message) => message.kind === "incoming");
    const mine = added.some((message) => message.author.name === this.me.name && message.kind !== "incoming");
    if (atEnd || mine) this.toEnd();
    else this.countUnseen(incoming.length);
    if (incoming.length) {
      announce(t("announce", { name: this.conversation.contact.name || t("visitor"), n: incoming.length }));
    }
    this.onNews("added", added);
  }

  countUnseen(count) {
    this.unseen += count;
    show(this.pill, true);
    slot(this.pill, "count").textContent = this.unseen || "";
  }

  isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.stream;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  toEnd(smooth = false) {
    this.stream.scrollTo({ top: this.stream.scrollHeight, behavior: smooth ? "smooth" : "instant" });
  }

  scrolled() {
    if (this.isAtEnd()) {
      this.unseen = 0;
      show(this.pill, false);
      this.onNews("end");
    } else if (this.stream.scrollTop < OLDER_AT_PX && this.hasOlder) {
      this.loadOlder();
    }
  }

  async loadOlder() {
    if (this.loading || this.first <= 1) return;
    this.loading = true;
    const after = Math.max(0, this.first - 1 - OLDER_COUNT);
    const limit = this.first - 1 - after;
    try {
      const page = await call("GET", `conversations/${this.conversation.id}/messages/?after_seq=${after}&limit=${limit}`);
      this.prepend(page.results.filter((message) => message.seq < this.first));
    } catch {
      // The next scroll asks again.
    }
    this.loading = false;
  }

  /** Older messages above, the reader's place kept. */
  prepend(messages) {
    this.hasOlder = messages.length > 0 && messages[0].seq > 1;
    if (!messages.length) return;
    const height = this.stream.scrollHeight - this.stream.scrollTop;
    const fragment = document.createDocumentFragment();
    messages.forEach((message, index) => this.draw(fragment, messages[index - 1], message));
    this.redrawFirst(fragment, messages.at(-1));
    this.box.prepend(fragment);
    messages.forEach((message) => this.bySeq.set(message.seq, message));
    this.first = messages[0].seq;
    this.stream.scrollTop = this.stream.scrollHeight - height;
  }

  draw(target, before, message) {
    const place = placed(before, message);
    if (place.divider) target.append(dividerElement(message, place.channel));
    target.append(this.make(message, place.first));
  }

  /** What was the first message may need no date line any more. */
  redrawFirst(fragment, before) {
    const message = this.bySeq.get(this.first);
    const old = this.element(this.first);
    if (!message || !old) return;
    if (old.previousElementSibling?.dataset.slot === "divider") old.previousElementSibling.remove();
    old.remove();
    this.draw(fragment, before, message);
  }

  /** The contact has read up to here: one number, many ticks. */
  markRead(seq) {
    for (const element of findAll(".msg[data-status]", this.box)) {
      const message = this.bySeq.get(Number(element.dataset.seq));
      if (message?.kind === "outgoing" && message.seq <= seq && message.status !== "failed") element.dataset.status = "read";
    }
  }

  /** Whether every number between the first and the last is there; for the self-check. */
  isContiguous() {
    for (let seq = this.first; seq <= this.last; seq += 1) if (!this.bySeq.has(seq)) return false;
    return this.ahead.size === 0;
  }
}
