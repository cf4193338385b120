/* The end of the stream: bubbles on their way, what the bot is writing, and that the contact types. */

import { messageElement, sayWords } from "./bubble.js";
import { find, linkButton, say, show, slot } from "./dom.js";
import { clock, has, t } from "./format.js";

const TYPING_MS = 6000;

export class Tail {
  /** onEdit(item) puts one that cannot go back where it can be changed. */
  constructor({ root, outbox, socket, thread, conversation, onEdit }) {
    Object.assign(this, { root, outbox, socket, thread, conversation, onEdit });
    this.box = find("#outbox", root);
    this.growing = find("#growing", root);
    this.typing = find("#typing", root);
    this.line = find("#offline-line", root);
    this.draw();
  }

  draw() {
    const items = this.outbox.of(this.conversation.id);
    this.box.replaceChildren(...items.map((item, index) => this.element(item, index === 0)));
    const waiting = items.find((item) => item.state === "outbox");
    show(this.line, waiting);
    if (waiting) find("span span", this.line).textContent = t("offline_from", { time: clock(this.offlineSince ?? waiting.created_at) });
  }

  element(item, first) {
    const status = { sending: "sending", outbox: "outbox", held: "held", failed: "failed" }[item.state];
    const element = messageElement({ ...shown(item, this.conversation), status }, { first });
    if (item.state === "outbox" && !item.note) slot(element, "ticks").prepend(words(t("to_send")));
    if (!item.note && (item.state === "failed" || item.state === "held")) this.addWaysOut(element, item);
    return element;
  }

  addWaysOut(element, item) {
    show(slot(element, "fault"), true);
    const reason = has(item.code) ? t(item.code) : item.detail ?? "";
    say(element, "fault-text", item.state === "held" ? t("moved_on") : `${t("not_delivered")}${reason}`);
    show(slot(element, "fault-actions"), true);
    slot(element, "fault-actions").replaceChildren(
      linkButton(t(item.state === "held" ? "send_anyway" : "retry"), () => this.outbox.retry(item.client_id)),
      linkButton(t("edit_again"), () => { this.onEdit(item); this.discard(item); }),
      linkButton(t("discard"), () => this.discard(item)),
    );
  }

  discard(item) {
    this.outbox.take(item.client_id);
    this.outbox.pump();
  }

  /** A bot's answer so far; the message with the same reply_to takes its place. */
  grow({ reply_to: replyTo, text }) {
    const old = find(`[data-reply-to="${CSS.escape(replyTo)}"]`, this.growing);
    const element = old ?? this.newGrowing(replyTo);
    const atEnd = this.thread.isAtEnd();
    sayWords(element, text, "bot");
    if (atEnd) this.thread.toEnd();
  }

  newGrowing(replyTo) {
    const message = { kind: "outgoing", author: { kind: "bot", name: t("bot") }, text: " ", attachments: [], status: "sending", created_at: new Date().toISOString() };
    const element = messageElement(message);
    element.classList.add("is-growing");
    element.dataset.replyTo = replyTo;
    this.growing.append(element);
    return element;
  }

  settle(messages) {
    for (const message of messages) {
      if (message.author.kind === "bot" || message.kind === "activity") this.growing.replaceChildren();
      if (message.kind === "incoming") this.showTyping(false);
    }
  }

  showTyping(on) {
    clearTimeout(this.typingTimer);
    const atEnd = this.thread.isAtEnd();
    show(this.typing, on);
    if (on && atEnd) this.thread.toEnd();
    if (on) this.typingTimer = setTimeout(() => this.showTyping(false), TYPING_MS);
  }

  /** Nothing that only the server knows looks live while offline. */
  setOffline(offline) {
    if (offline) {
      this.offlineSince ??= new Date().toISOString();
      this.showTyping(false);
      this.growing.replaceChildren();
    } else {
      this.offlineSince = null;
    }
    this.draw();
  }
}

function shown(item, conversation) {
  return {
    kind: item.note ? "note" : "outgoing", author: { kind: "agent", name: item.author.name }, text: item.text,
    attachments: item.attachments, inbox: item.inbox ?? conversation.inbox, created_at: item.created_at,
  };
}

function words(text) {
  const span = document.createElement("span");
  span.className = "msg-wait";
  span.textContent = text;
  return span;
}
