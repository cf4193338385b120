/* The line one writes in: grows with its text, keeps its draft, never takes the input method's Enter for its own, and
   takes files by button, by paste and by drop. */

import { guardComposition } from "./ime.js";
import { newId } from "./outbox.js";
import { Uploads } from "./uploads.js";
import { byId, el, icon, reconcile } from "./view/dom.js";
import { emojiPicker } from "./view/emoji.js";
import { t } from "./view/words.js";

const DRAFT_AFTER_MS = 400;
const TYPING_EVERY_MS = 3_000;
const TYPING_ENDS_MS = 5_000;
const COUNT_LAST = 50; // the counter shows in the last 50 characters
const DEFAULT_LIMIT = 4000;

const isPhone = matchMedia("(pointer: coarse)");
const codePoints = (text) => [...text].length;

export class Composer {
  constructor(session, uploadUrl) {
    this.session = session;
    this.form = byId("composer");
    this.field = byId("text");
    this.send = byId("send");
    this.uploads = new Uploads({ url: uploadUrl, token: () => session.token, changed: () => this.draw() });
    this.belongsToInputMethod = guardComposition(this.field);
    this.field.value ||= session.store.get("draft") ?? ""; // What was typed while this loaded stays.
    this.#listen();
    this.draw();
  }

  #listen() {
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("input", () => this.#typed());
    this.field.addEventListener("paste", (event) => this.#pasted(event));
    byId("file").addEventListener("change", (event) => this.#picked(event.target));
    byId("pick").addEventListener("click", () => byId("file").click());
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => this.#dropped(event));
    emojiPicker(byId("emoji"), (emoji) => this.insert(emoji));
  }

  #key(event) {
    if (event.key !== "Enter" || this.belongsToInputMethod(event)) return;
    if (event.shiftKey || event.altKey || isPhone.matches) return; // A new line.
    event.preventDefault();
    this.#submit(event);
  }

  #submit(event) {
    event.preventDefault();
    if (!this.#canSend()) return;
    const text = this.field.value.trim();
    this.session.post({ text, attachments: this.uploads.take() });
    this.#clear();
    this.onSent?.();
  }

  #clear() {
    this.field.value = "";
    clearTimeout(this.draftTimer);
    this.session.store.remove("draft");
    this.#stopTyping();
    this.draw();
  }

  #canSend() {
    const text = this.field.value.trim();
    const something = text || this.uploads.items.some((item) => item.state === "done");
    return Boolean(something) && codePoints(text) <= this.limit && !this.uploads.isBusy && !this.session.blocked;
  }

  get limit() {
    return this.session.inbox?.text_limit ?? DEFAULT_LIMIT;
  }

  #typed() {
    clearTimeout(this.draftTimer);
    this.draftTimer = setTimeout(() => this.session.store.set("draft", this.field.value), DRAFT_AFTER_MS);
    if (this.field.value) this.#tellTyping();
    else this.#stopTyping();
    this.draw();
  }

  #tellTyping() {
    clearTimeout(this.typingTimer);
    this.typingTimer = setTimeout(() => this.#stopTyping(), TYPING_ENDS_MS);
    if (Date.now() - (this.typingTold ?? 0) < TYPING_EVERY_MS) return;
    this.typingTold = Date.now();
    const preview = this.session.inbox?.typing_preview ? this.field.value.slice(0, this.limit) : undefined;
    this.session.typing(true, preview);
  }

  #stopTyping() {
    clearTimeout(this.typingTimer);
    if (!this.typingTold) return;
    this.typingTold = 0;
    this.session.typing(false);
  }

  #pasted(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    this.#add(files);
  }

  #dropped(event) {
    event.preventDefault();
    this.#add([...(event.dataTransfer?.files ?? [])]);
  }

  #picked(input) {
    this.#add([...input.files]);
    input.value = ""; // So that the same file may be picked again.
  }

  #add(files) {
    if (!files.length) return;
    this.session.start(); // The upload needs the token that `ready` brings.
    if (!this.uploads.add(files)) this.onNotice?.(t("upload_many"));
  }

  insert(words) {
    this.field.setRangeText(words, this.field.selectionStart, this.field.selectionEnd, "end");
    this.field.focus();
    this.#typed();
  }

  prefill(text) {
    this.field.value = text;
    this.#typed();
  }

  focus() {
    if (!isPhone.matches) this.field.focus({ preventScroll: true });
  }

  draw() {
    const left = this.limit - codePoints(this.field.value.trim());
    byId("count").textContent = left < COUNT_LAST ? String(left) : "";
    byId("count").classList.toggle("is-over", left < 0);
    this.send.disabled = !this.#canSend();
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
    reconcile(byId("uploads"), this.uploads.items.map((item) => this.#uploadItem(item)));
  }

  #uploadItem(item) {
    item.key ??= newId();
    const look = `${item.state}|${Math.round(item.progress * 20)}`;
    return { key: item.key, look, make: () => this.#uploadElement(item) };
  }

  #uploadElement(item) {
    const thumb = item.preview ? el("img", { src: item.preview, alt: "" }) : icon("file-text", 20);
    const words = { loading: `${Math.round(item.progress * 100)}%`, done: item.file.name, failed: t(item.reason ?? "upload_failed") };
    const again = el("button", { type: "button", class: "link", onclick: () => this.uploads.retry(item) }, t("retry"));
    return el("li", { class: `upload is-${item.state}` }, thumb,
      el("span", { class: "upload-words", role: item.state === "failed" ? "alert" : null }, words[item.state]),
      item.state === "failed" ? again : null,
      el("button", {
        type: "button", class: "btn btn-icon btn-sm", "aria-label": t("remove_file", { name: item.file.name }),
        onclick: () => this.uploads.remove(item),
      }, icon("x", 14)));
  }
}
