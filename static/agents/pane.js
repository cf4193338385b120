/* The middle of the page: opens conversations without loading the page, and keeps the open one up to date. */

import { Refused, fragment } from "./api.js";
import { askSnoozeTime, askTransfer, snoozeTime } from "./actions.js";
import { Composer } from "./composer.js";
import { Copilot } from "./copilot.js";
import { Destinations } from "./destinations.js";
import { clone, find, findAll, parse, readJSON, show } from "./dom.js";
import { resend } from "./faults.js";
import { clock, t } from "./format.js";
import { applyState, tickQueue } from "./head.js";
import { closeMenu } from "./menus.js";
import { Person } from "./person.js";
import { Tail } from "./sending.js";
import { Thread } from "./thread.js";
import { judge } from "./thumbs.js";
import { toast } from "./toasts.js";
import { Trace } from "./trace.js";

const SKELETON_MS = 300;

export class Pane {
  constructor({ root, socket, outbox, actions, list, me, onState }) {
    Object.assign(this, { root, socket, outbox, actions, list, me, onState });
    setInterval(() => this.conversation && tickQueue(this.root), 1000);
    root.addEventListener("click", (event) => this.clicked(event));
    document.addEventListener("visibilitychange", () => this.markRead());
    addEventListener("focus", () => this.markRead());
    outbox.addEventListener("changed", ({ detail }) => detail.conversation === this.conversation?.id && this.drawTail(detail));
    outbox.addEventListener("acked", ({ detail }) => this.acked(detail));
    outbox.addEventListener("missed", ({ detail }) => detail.conversation === this.conversation?.id && this.receive(detail.messages));
    this.adopt();
  }

  /** Take what the server drew into use. */
  adopt() {
    const data = readJSON("conversation-data", this.root);
    document.body.classList.toggle("has-conversation", Boolean(data || find(".start .btn", this.root)));
    if (!data) return;
    this.conversation = data;
    const { root, socket, outbox, me } = this;
    this.thread = new Thread({
      root, socket, me, conversation: data, messages: readJSON("messages-data", root),
      onNews: (what, detail) => this.news(what, detail),
    });
    this.tail = new Tail({ root, socket, outbox, conversation: data, thread: this.thread, onEdit: (item) => this.composer.putBack(item) });
    this.composer = new Composer({
      root, socket, conversation: data, thread: this.thread,
      onSend: (written) => this.send(written), onDraft: () => this.list.markDrafts(), onResolve: () => this.act("resolve"),
    });
    this.destinations = new Destinations({
      root, conversation: data, data: readJSON("destination-data", root),
      onChange: (isOpen) => this.composer.setClosed(!isOpen), onNote: () => this.composer.setMode("note"),
    });
    this.person = new Person({ root, contact: data.contact, onChange: () => this.reload() });
    this.trace = new Trace(find("#trace-panel", root));
    this.copilot = new Copilot({ root, conversation: data, composer: this.composer, onSignedOut: () => this.onState("signedout") });
    this.fillSnoozeMenu();
    applyState(root, data, me.username);
    this.thread.subscribe();
    this.setOffline(!socket.isReady && socket.wasReady);
    this.list.select(data.number);
    this.markRead();
  }

  leave() {
    if (!this.conversation) return;
    closeMenu();
    this.destinations.close();
    this.copilot.close();
    this.composer.close();
    this.socket.send({ type: "unsubscribe", conversation: this.conversation.id });
    this.conversation = this.thread = this.tail = this.composer = this.copilot = this.destinations = null;
  }

  async open(number, { push = true } = {}) {
    if (String(this.conversation?.number) === String(number)) return;
    this.coming?.abort();
    this.coming = new AbortController();
    const { signal } = this.coming;
    const path = `/console/c/${number}`;
    if (push) history.pushState({ number }, "", `${path}?bucket=${this.list.bucket}`);
    this.list.select(number);
    document.body.classList.add("has-conversation");
    const waiting = setTimeout(() => this.blank("skeleton"), SKELETON_MS);
    try {
      this.draw(await fragment(`/console/fragments/c/${number}/`, signal));
    } catch (error) {
      this.couldNotOpen(error, number);
    } finally {
      clearTimeout(waiting);
    }
  }

  /** Read the open conversation anew: whose it is, or who its contact is, has changed. */
  async reload() {
    const number = this.conversation?.number;
    if (!number) return;
    const isStillOpen = () => this.conversation?.number === number;
    try {
      const html = await fragment(`/console/fragments/c/${number}/`);
      if (isStillOpen()) this.draw(html);
    } catch (error) {
      if (isStillOpen()) this.couldNotOpen(error, number);
    }
  }

  /** What was open is left only when something else takes its place. */
  blank(template) {
    this.leave();
    this.root.replaceChildren(clone(template));
  }

  draw(html) {
    this.leave();
    this.root.replaceChildren(parse(html));
    this.adopt();
    if (this.conversation) document.title = `${this.conversation.contact.name || t("visitor")} - Kefu`;
    if (matchMedia("(min-width: 768px)").matches) this.composer?.focus();
  }

  couldNotOpen(error, number) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) return this.onState("signedout");
    if (error.status === 404 || error.status === 403) return this.blank("not-found");
    this.blank("failed");
    find("[data-slot=reason]", this.root).textContent = error.reason;
    find("[data-retry]", this.root).addEventListener("click", () => this.open(number, { push: false }));
  }

  /** It is no longer ours to see; what was typed stays as a draft. */
  lost() {
    this.blank("not-found");
  }

  closeToList({ push = true } = {}) {
    this.coming?.abort();
    this.blank("start");
    document.body.classList.remove("has-conversation");
    this.list.select(null);
    if (push) history.pushState({}, "", `/console/?bucket=${this.list.bucket}`);
  }

  // Frames

  receive(messages) {
    this.tail.settle(messages);
    this.thread.receive(messages);
    this.destinations.refresh();
    for (const message of messages) if (message.client_id) this.outbox.take(message.client_id);
  }

  drawTail(item) {
    this.tail.draw();
    if (item.code === "window_closed") this.destinations.refresh();
  }

  acked({ item, ack }) {
    if (item.conversation !== this.conversation?.id) return;
    this.destinations.refresh();
    this.thread.receive([{
      id: ack.id, conversation: item.conversation, seq: ack.seq, client_id: item.client_id, kind: item.note ? "note" : "outgoing",
      author: { kind: "agent", name: this.me.name, avatar: null }, inbox: item.inbox ?? this.conversation.inbox, text: item.text,
      attachments: item.attachments, reply_to: null, status: "sent", created_at: ack.created_at,
    }]);
  }

  update(conversation) {
    if (conversation.id !== this.conversation?.id) return;
    Object.assign(this.conversation, conversation, { queue: conversation.queue });
    applyState(this.root, this.conversation, this.me.username);
  }

  news(what, detail) {
    if (what === "gap") this.onState("filling", detail);
    if (what === "end") this.markRead();
    if (what === "added") {
      this.composer.noteNews(detail, this.me.name);
      this.markRead();
    }
  }

  /** Read is what stood on the screen of a page that has the focus. */
  markRead() {
    if (!this.thread || document.hidden || !document.hasFocus() || !this.thread.isAtEnd()) return;
    const seq = this.thread.last;
    if (seq <= (this.thread.readSeq ?? 0)) return;
    if (this.socket.send({ type: "read", conversation: this.conversation.id, seq })) this.thread.readSeq = seq;
  }

  again() {
    if (!this.conversation) return;
    this.thread.readSeq = 0;
    this.thread.subscribe();
    this.markRead();
  }

  setOffline(offline) {
    if (!this.conversation) return;
    this.tail.setOffline(offline);
    this.composer.setOffline(offline);
    this.destinations.setOffline(offline);
    this.copilot.setOffline(offline);
  }

  // Doing

  send({ text, note, attachments }) {
    const { id: identity, inbox } = this.destinations.chosen;
    this.outbox.add({
      conversation: this.conversation.id, text, note, attachments, base: this.thread.last,
      author: { name: this.me.name }, identity, inbox,
    });
    this.thread.toEnd();
  }

  clicked(event) {
    const target = event.target.closest("[data-action], [data-snooze], [data-priority], [data-back], [data-open], [data-adopt], [data-trace], [data-resend], [data-copy-text], .msg [data-thumb]");
    if (!target || event.metaKey || event.ctrlKey) return;
    const { action, snooze, priority, open, thumb } = target.dataset;
    if (open || target.hasAttribute("data-back")) event.preventDefault();
    if (action) this.act(action);
    else if (snooze) this.snooze(snooze);
    else if (priority) this.actions.setPriority(this.conversation, priority);
    else if (open) this.open(open);
    else if (target.hasAttribute("data-back")) this.closeToList();
    else if (thumb) judge(target, `${this.conversation.id}/messages/${target.closest(".msg").dataset.id}`);
    else if (target.hasAttribute("data-adopt")) this.adoptAnswer(target);
    else this.clickedMessage(target, target.closest(".msg"));
  }

  clickedMessage(target, element) {
    const message = this.thread.bySeq.get(Number(element.dataset.seq));
    if (!message) return;
    if (target.hasAttribute("data-trace")) this.trace.open(target, message);
    else if (target.hasAttribute("data-resend")) resend(element, message);
    else copyText(message.text);
  }

  adoptAnswer(button) {
    this.composer.setMode("reply");
    this.composer.put(find("[data-slot=text]", button.closest(".note")).textContent);
  }

  async act(action) {
    if (action === "context") return this.toggleContext();
    const { conversation, actions } = this;
    if (!conversation) return null;
    switch (action) {
      case "take-over": return actions.takeOver(conversation);
      case "claim": return actions.claim(conversation);
      case "return-to-bot": return actions.returnToBot(conversation);
      case "resolve": return actions.resolve(conversation);
      case "reopen": return actions.reopen(conversation);
      case "copy-link": return actions.copyLink(conversation);
      case "transfer": return this.transfer(conversation);
      default: return null;
    }
  }

  async transfer(conversation) {
    const chosen = await askTransfer();
    if (chosen) await this.actions.transfer(conversation, chosen.target, chosen.name, chosen.note);
  }

  async snooze(preset) {
    const { conversation } = this;
    const until = preset === "custom" ? await askSnoozeTime() : snoozeTime(preset);
    if (until) await this.actions.snooze(conversation, until);
  }

  fillSnoozeMenu() {
    for (const item of findAll("[data-snooze]", this.root)) {
      if (item.dataset.snooze === "custom") continue;
      const until = snoozeTime(item.dataset.snooze);
      show(item, until);
      if (until) find(".key", item).textContent = item.dataset.snooze === "hour" ? clock(until) : "";
    }
  }

  toggleContext() {
    const wide = matchMedia("(min-width: 1280px)").matches;
    document.body.classList.toggle(wide ? "hide-context" : "show-context");
  }

  /** For the self-check: how many numbers stand in line, or -1 where one is missing. */
  check() {
    if (!this.thread) return 0;
    return this.thread.isContiguous() ? this.thread.bySeq.size : -1;
  }
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t("copied"));
  } catch {
    toast(t("failed_action", { reason: t("no_clipboard") }));
  }
}
