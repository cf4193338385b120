/* Which channel answers: the contact's addresses, what each platform still takes, and the agent's own choice. */

import { call } from "./api.js";
import { setDisc } from "./bubble.js";
import { clone, find, say, show, slot } from "./dom.js";
import { channelName, duration, t } from "./format.js";
import { load, remove, save } from "./store.js";

const AGAIN_MS = 400;
const PRESENCE_MS = 30_000;
const SHORT_S = 600;
const FEW = 2;

export class Destinations {
  /** data: {default, destinations, presence}; onChange() after the chosen one opened or closed. */
  constructor({ root, conversation, data, onChange, onNote }) {
    Object.assign(this, { root, conversation, data, onChange, onNote });
    this.key = `kefu.destination.${conversation.id}`;
    this.menu = find("#via-menu", root);
    this.closed = find("#closed-panel", root);
    slot(this.closed, "other").addEventListener("click", () => this.choose(this.openOnes()[0]));
    slot(this.closed, "note").addEventListener("click", () => this.onNote());
    this.ticking = setInterval(() => this.tick(), 1000);
    this.asking = setInterval(() => document.hidden || this.load(), PRESENCE_MS);
    this.draw();
  }

  get chosen() {
    const { data } = this;
    const kept = load(this.key, null);
    // A choice holds until the person writes elsewhere.
    const id = kept?.instead === data.default ? kept.id : data.default;
    const of = (wanted) => data.destinations.find((one) => one.id === wanted);
    return of(id) ?? of(data.default) ?? data.destinations[0];
  }

  openOnes() {
    return this.data.destinations.filter((one) => one !== this.chosen && stateOf(one).allowed);
  }

  choose(destination) {
    if (!destination) return;
    if (destination.id === this.data.default) remove(this.key);
    else save(this.key, { id: destination.id, instead: this.data.default });
    this.draw();
  }

  /** Ask anew, once for changes that come close together. */
  refresh() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.load(), AGAIN_MS);
  }

  async load() {
    try {
      const data = await call("GET", `conversations/${this.conversation.id}/destinations/`);
      if (this.isOver) return;
      this.data = data;
      this.draw();
    } catch {
      // The figures stand as they were; the next message or half a minute asks again.
    }
  }

  draw() {
    const { chosen, menu } = this;
    const via = find("#via", this.root);
    say(via, "via-name", chosen.inbox.name);
    via.title = `${channelName(chosen.inbox.channel)} · ${chosen.external_id}`;
    setDisc(slot(via, "disc"), chosen.inbox.channel);
    const items = this.data.destinations.map((one) => this.item(one, one === chosen));
    const focused = menu.contains(document.activeElement) ? [...menu.children].indexOf(document.activeElement) : -1;
    menu.replaceChildren(...items);
    items[focused]?.focus();
    this.drawPresence();
    this.tick();
  }

  item(destination, isChosen) {
    const item = clone("destination");
    setDisc(slot(item, "disc"), destination.inbox.channel);
    say(item, "name", destination.inbox.name);
    item.dataset.id = destination.id;
    item.setAttribute("aria-checked", isChosen);
    item.addEventListener("click", () => item.getAttribute("aria-disabled") === "true" || this.choose(destination));
    return item;
  }

  /** Clocks, every second; and that the chosen window closed meanwhile. */
  tick() {
    const { chosen } = this;
    const state = stateOf(chosen);
    const words = find("#via-window", this.root);
    words.textContent = state.words;
    words.classList.toggle("is-short", state.isShort);
    for (const item of this.menu.children) this.fillItem(item);
    if (this.wasAllowed !== state.allowed || this.shown !== chosen.id) this.drawClosed(chosen, state);
  }

  fillItem(item) {
    const destination = this.data.destinations.find((one) => one.id === item.dataset.id);
    const state = stateOf(destination);
    item.setAttribute("aria-disabled", !state.allowed);
    say(item, "state", state.words || destination.external_id);
  }

  drawClosed(chosen, state) {
    Object.assign(this, { wasAllowed: state.allowed, shown: chosen.id });
    this.onChange(state.allowed);
    if (state.allowed) return;
    const [other] = this.openOnes();
    say(this.closed, "title", t("closed_title", { name: chosen.inbox.name }));
    say(this.closed, "reason", t(`closed.${state.reason || "window_closed"}`));
    show(slot(this.closed, "other"), other);
    if (other) say(this.closed, "other-text", t("answer_by", { name: other.inbox.name }));
  }

  drawPresence() {
    const line = find("#presence", this.root);
    const { presence } = this.data;
    if (!line) return;
    show(line, presence);
    if (!presence) return;
    line.dataset.online = presence.online;
    say(line, "presence-text", presence.online ? t("is_online") : t("is_offline"));
    say(line, "presence-page", presence.page ? t("looks_at", { page: pathOf(presence.page) }) : "").title = presence.page;
  }

  /** Offline nobody knows who is there. */
  setOffline(offline) {
    const line = find("#presence", this.root);
    if (line && offline) show(line, false);
    else if (!offline) this.refresh();
  }

  close() {
    this.isOver = true;
    clearInterval(this.ticking);
    clearInterval(this.asking);
    clearTimeout(this.soon);
  }
}

/** {allowed, reason, words, isShort} at this moment: a window may have closed since it was asked for. */
export function stateOf({ window }, now = Date.now()) {
  const left = window.closes_at ? Math.floor((new Date(window.closes_at) - now) / 1000) : null;
  const isOver = left !== null && left <= 0;
  if (!window.allowed || isOver) {
    const reason = window.reason || "window_closed";
    return { allowed: false, reason, words: t(`closed_short.${reason}`), isShort: true };
  }
  const parts = [];
  if (left !== null) parts.push(t("window_left", { time: duration(left) }));
  if (window.remaining !== null) parts.push(t("may_still_send", { n: window.remaining }));
  const isShort = (left !== null && left < SHORT_S) || (window.remaining !== null && window.remaining <= FEW);
  return { allowed: true, reason: "", words: parts.join(" · "), isShort };
}

function pathOf(page) {
  try {
    const { host, pathname } = new URL(page);
    return pathname === "/" ? host : decodeURI(pathname);
  } catch {
    return page;
  }
}

