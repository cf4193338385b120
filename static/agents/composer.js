/* The composer: reply and internal note apart, Enter sends unless an input method wants it, drafts kept. */

import { Attachments } from "./attachments.js";
import { find, findAll, show, slot } from "./dom.js";
import { draftOf, keep, keepMode, modeOf } from "./drafts.js";
import { clock, t } from "./format.js";
import { belongsToInputMethod } from "./ime.js";

const DRAFT_MS = 400;
const TYPING_MS = 3000;
const LIMIT = 4000;
const COUNT_FROM = LIMIT - 50;

export class Composer {
  /** onSend({text, note, attachments}) keeps the message; onDraft() after a draft changed. */
  constructor({ root, socket, conversation, thread, onSend, onDraft, onResolve }) {
    Object.assign(this, { root, socket, conversation, thread, onSend, onDraft, onResolve });
    this.form = find("#composer", root);
    this.field = find("#composer-text", root);
    this.bar = find("#moved-on", root);
    this.files = new Attachments(root, () => this.refresh());
    this.listen();
    this.setMode(modeOf(conversation.id), { focus: false });
  }

  listen() {
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.field.addEventListener("keydown", (event) => this.onKey(event));
    this.field.addEventListener("input", () => this.onInput());
    for (const button of findAll(".segment", this.form)) {
      button.addEventListener("click", () => this.setMode(button.dataset.mode));
    }
    find("[data-send=resolve]", this.root).addEventListener("click", () => this.submit({ resolve: true }));
    slot(this.bar, "view").addEventListener("click", () => { show(this.bar, false); this.thread.toEnd(true); });
    this.leave = () => this.keepDraft();
    addEventListener("pagehide", this.leave);
    document.addEventListener("visibilitychange", this.leave);
  }

  onKey(event) {
    if (event.key !== "Enter" || event.shiftKey && !(event.ctrlKey || event.metaKey) || belongsToInputMethod(event)) return;
    if (event.altKey) return;
    event.preventDefault();
    this.submit({ resolve: event.shiftKey });
  }

  onInput() {
    this.meanwhile ??= this.thread.last;
    if (!this.field.value) this.forgetMeanwhile();
    this.refresh();
    clearTimeout(this.draftTimer);
    this.draftTimer = setTimeout(() => this.keepDraft(), DRAFT_MS);
    if (this.mode === "reply") this.tellTyping(Boolean(this.field.value));
  }

  setMode(mode, { focus = true } = {}) {
    if (this.mode) this.keepDraft();
    this.mode = mode;
    this.form.dataset.mode = mode;
    keepMode(this.conversation.id, mode);
    for (const button of findAll(".segment", this.form)) button.setAttribute("aria-pressed", button.dataset.mode === mode);
    this.field.placeholder = t(mode === "note" ? "placeholder_note" : "placeholder_reply");
    this.setClosed(Boolean(this.isClosed));
    const draft = draftOf(this.conversation.id, mode);
    this.field.value = draft?.text ?? "";
    find("#draft-hint", this.form).textContent = draft ? t("restored", { time: clock(draft.at) }) : "";
    this.refresh();
    if (focus) this.focus();
  }

  focus() {
    this.field.focus();
    this.field.setSelectionRange(this.field.value.length, this.field.value.length);
  }

  /** Text in place of all that stands there, or at the cursor. */
  insert(text, { replace = false } = {}) {
    const { field } = this;
    const [start, end] = replace ? [0, field.value.length] : [field.selectionStart, field.selectionEnd];
    field.setRangeText(text, start, end, "end");
    this.onInput();
    field.focus();
  }

  /** A message that did not go, with its files, to be changed as what it was. */
  putBack({ text, note, attachments }) {
    this.setMode(note ? "note" : "reply");
    this.files.putBack(attachments);
    this.put(text);
  }

  put(text) {
    this.field.value = this.field.value ? `${this.field.value}\n${text}` : text;
    this.onInput();
    this.focus();
  }

  keepDraft() {
    clearTimeout(this.draftTimer);
    keep(this.conversation.id, this.mode, this.field.value);
    this.onDraft();
  }

  tellTyping(on) {
    if (on && Date.now() - (this.toldAt ?? 0) < TYPING_MS) return;
    this.toldAt = on ? Date.now() : 0;
    this.socket.send({ type: "typing", conversation: this.conversation.id, on });
  }

  /** Height, counter and the send button follow the text. */
  refresh() {
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
    const length = [...this.field.value].length;
    const count = find("#composer-count", this.form);
    count.textContent = length > COUNT_FROM ? `${length}/${LIMIT}` : "";
    count.classList.toggle("is-over", length > LIMIT);
    const canSend = (this.field.value.trim() || !this.files.isEmpty) && length <= LIMIT && !this.files.isBusy;
    find("#send", this.form).disabled = !canSend;
    find("#send-note", this.form).disabled = !canSend;
    this.canSend = Boolean(canSend);
  }

  /** A closed channel takes the field's place; a note goes nowhere, so it may always be written. */
  setClosed(closed) {
    this.isClosed = closed;
    this.form.classList.toggle("is-closed", closed && this.mode === "reply");
    show(find("#closed-panel", this.form), closed && this.mode === "reply");
  }

  setOffline(offline) {
    slot(find("#send", this.form), "word").textContent = t(offline ? "send_later" : "send");
  }

  submit({ resolve = false } = {}) {
    this.refresh();
    if (!this.canSend || (this.isClosed && this.mode === "reply")) return;
    const text = this.field.value.replace(/\s+$/, "");
    this.field.value = "";
    this.onSend({ text, note: this.mode === "note", attachments: this.files.take() });
    this.keepDraft();
    find("#draft-hint", this.form).textContent = "";
    if (this.mode === "reply") this.tellTyping(false);
    this.forgetMeanwhile();
    this.refresh();
    this.field.focus();
    if (resolve) this.onResolve();
  }

  /** Messages of others that came since this text was begun: said softly over the composer. */
  noteNews(added, myName) {
    if (this.meanwhile === undefined || !this.field.value.trim() || this.mode === "note") return;
    const theirs = [...this.thread.bySeq.values()].filter(({ seq }) => seq > this.meanwhile);
    const incoming = theirs.filter(({ kind }) => kind === "incoming").length;
    const colleague = theirs.find(({ kind, author }) => kind === "outgoing" && author.kind === "agent" && author.name !== myName);
    if (!incoming && !colleague) return;
    const parts = [];
    if (incoming) parts.push(t("came_meanwhile", { n: incoming }));
    if (colleague) parts.push(t("replied_meanwhile", { name: colleague.author.name }));
    slot(this.bar, "text").textContent = parts.join(" / ");
    show(this.bar, true);
  }

  forgetMeanwhile() {
    this.meanwhile = undefined;
    show(this.bar, false);
  }

  close() {
    this.keepDraft();
    if (this.mode === "reply" && this.toldAt) this.tellTyping(false);
    removeEventListener("pagehide", this.leave);
    document.removeEventListener("visibilitychange", this.leave);
  }
}
