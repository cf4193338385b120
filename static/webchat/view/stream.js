/* The stream of messages: what the session knows, as a list of items, oldest first. */

import { avatar } from "./avatar.js";
import { bubble, failedLine, stateLine } from "./bubble.js";
import { byId, el, reconcile } from "./dom.js";
import { queueCard } from "./queue.js";
import { dayTime, t } from "./words.js";

const NEW_STAMP_MS = 10 * 60_000; // a time is shown again after this much silence
const GROUP_MS = 3 * 60_000;
const NEAR_END_PX = 80;
const NEAR_START_PX = 200;
const REASONS = { too_large: "reason_too_large", invalid: "reason_invalid", blocked: "reason_blocked" };

export class Stream {
  constructor(session) {
    this.session = session;
    this.box = byId("log");
    this.list = byId("messages");
    this.atEnd = true;
    this.box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe(this.box);
    this.list.addEventListener("load", () => this.atEnd && this.toEnd(), true);
    byId("to-end").addEventListener("click", () => this.toEnd());
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    this.atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    byId("to-end").hidden = this.atEnd;
    if (scrollTop < NEAR_START_PX) this.session.lookBack();
    if (this.atEnd) this.onEnd?.();
  }

  toEnd() {
    this.box.scrollTop = this.box.scrollHeight;
    this.atEnd = true;
    byId("to-end").hidden = true;
  }

  draw() {
    const fromEnd = this.box.scrollHeight - this.box.scrollTop;
    const first = this.list.firstElementChild?.dataset.key;
    reconcile(this.list, this.#items());
    if (this.atEnd) return this.toEnd();
    const grewAbove = first !== this.list.firstElementChild?.dataset.key;
    if (grewAbove) this.box.scrollTop = this.box.scrollHeight - fromEnd;
  }

  #items() {
    const { session } = this;
    const rows = [...this.#welcome(), ...session.log.messages, ...session.outbox.entries.map(asRow)];
    const lastOwn = rows.findLast((row) => row.kind === "incoming" && row.seq);
    const items = [];
    rows.forEach((row, index) => items.push(...this.#itemsOf(row, rows[index - 1], row === lastOwn)));
    for (const [id, { text }] of session.growing) items.push(this.#growingItem(id, text));
    items.push(...this.#waitingItems());
    return items;
  }

  /** A greeting stands first where the whole log is shown. It is the page's word, not a stored message. */
  #welcome() {
    const { session } = this;
    if (session.log.hasOlder || !this.welcome) return [];
    const author = { kind: "bot", name: this.botName, avatar: null };
    return [{ id: "welcome", kind: "outgoing", author, text: this.welcome, local: true }];
  }

  #itemsOf(row, previous, isLastOwn) {
    const items = [];
    if (needsStamp(row, previous)) items.push(stampItem(row));
    if (row.kind === "activity") items.push(activityItem(row));
    else if (row.kind === "outgoing") items.push(staffItem(row, previous));
    else items.push(this.#ownItem(row, previous, isLastOwn));
    return items;
  }

  #ownItem(row, previous, isLastOwn) {
    const state = this.#stateOf(row);
    const shows = state === "failed" || !row.seq || isLastOwn;
    const key = `own-${row.client_id ?? row.id}`;
    const urls = row.attachments.map((file) => file.id).join();
    return {
      key, look: `${state}|${shows}|${row.failed}|${urls}|${isGrouped(row, previous)}`,
      make: () => this.#ownElement(row, state, shows, isGrouped(row, previous)),
    };
  }

  #ownElement(row, state, shows, grouped) {
    const { session } = this;
    const item = el("div", { class: `msg msg-own${grouped ? " is-grouped" : ""}` },
      el("span", { class: "sr-only" }, t("you_said")),
      bubble(row, { side: "own", failed: state === "failed" }));
    const reason = t(REASONS[row.failed] ?? "reason_unsent");
    const again = () => session.retry(row.client_id);
    if (state === "failed") item.append(failedLine(reason, again, () => session.discard(row.client_id)));
    else if (shows) item.append(stateLine(state));
    return item;
  }

  #stateOf(row) {
    if (!row.seq) return row.state;
    if (row.seq <= this.session.readByStaff && row.conversation === this.session.log.conversation) return "read";
    return row.status;
  }

  #growingItem(id, text) {
    return {
      key: `grow-${id}`, look: String(text.length),
      make: () => el("div", { class: "msg msg-staff", "aria-live": "off" }, avatar({ kind: "bot" }),
        el("div", { class: "body" }, bubble({ text }, { side: "bot", growing: true }),
          el("div", { class: "state" }, dots(), t("answering")))),
    };
  }

  #waitingItems() {
    const { session } = this;
    const now = Date.now();
    const items = [];
    if (session.thinkingUntil > now && !session.growing.size) items.push(dotsItem({ kind: "bot" }, t("thinking")));
    if (session.typingUntil > now) items.push(dotsItem(session.conversation?.owner ?? { kind: "agent" }, ""));
    if (session.queue) items.push(queueCard(session.queue));
    return items;
  }
}

const asRow = (entry) => ({
  ...entry, kind: "incoming", author: { kind: "contact", name: "" }, created_at: new Date(entry.created).toISOString(),
  state: entry.state === "queued" && entry.foreign ? "sending" : entry.state,
});

function needsStamp(row, previous) {
  if (row.local || !row.created_at) return false;
  if (!previous?.created_at) return true;
  return new Date(row.created_at) - new Date(previous.created_at) > NEW_STAMP_MS;
}

function stampItem(row) {
  const words = dayTime(new Date(row.created_at));
  return { key: `time-${row.id ?? row.client_id}`, look: words, make: () => el("div", { class: "stamp" }, words) };
}

function activityItem(row) {
  return { key: row.id, look: row.text, make: () => el("div", { class: "activity" }, row.text) };
}

function isGrouped(row, previous) {
  if (!previous || previous.kind !== row.kind || previous.author.kind !== row.author.kind) return false;
  if (previous.author.name !== row.author.name) return false;
  return !(new Date(row.created_at) - new Date(previous.created_at) > GROUP_MS);
}

function staffItem(row, previous) {
  const grouped = isGrouped(row, previous);
  const named = !grouped && !(row.author.kind === "bot" && previous && !row.local);
  const look = `${row.text}|${grouped}|${named}|${row.attachments?.length}`;
  return { key: row.id, look, make: () => staffElement(row, grouped, named) };
}

function staffElement(row, grouped, named) {
  const side = row.author.kind === "bot" ? "bot" : "agent";
  const face = grouped ? el("span", { class: "av-gap" }) : avatar(row.author);
  const body = el("div", { class: "body" }, named ? nameLine(row.author) : null, bubble(row, { side }));
  return el("div", { class: `msg msg-staff${grouped ? " is-grouped" : ""}` }, face, body);
}

function nameLine(author) {
  const chip = author.kind === "bot" ? el("span", { class: "chip chip-sm chip-p" }, t("bot")) : null;
  const name = author.name || t(author.kind === "bot" ? "bot_name" : "agent");
  return el("div", { class: "who" }, name === t("bot") ? null : name, chip);
}

const dots = () => el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i"));

function dotsItem(owner, words) {
  const label = words || t("agent_typing");
  return {
    key: `dots-${owner.kind}`, look: words,
    make: () => el("div", { class: "msg msg-staff" }, avatar({ ...owner, name: owner.name ?? "" }),
      el("div", { class: "body" }, el("div", { class: `bubble bubble-${owner.kind} is-dots` }, dots(),
        words || el("span", { class: "sr-only" }, label)))),
  };
}
