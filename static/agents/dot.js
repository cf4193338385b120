/* The connection dot: always a word beside the colour; a click tells the numbers behind it. */

import { find, say, slot } from "./dom.js";
import { clock, t } from "./format.js";
import { closeMenu, toggleMenu } from "./menus.js";
import { toast } from "./toasts.js";

export class Dot {
  /** check() counts messages in line, -1 where one is missing. */
  constructor({ socket, outbox, check }) {
    Object.assign(this, { socket, outbox, check, state: "connecting", missing: 0 });
    this.button = find("#connection");
    this.panel = find("#connection-panel");
    this.button.addEventListener("click", () => { this.refresh(); toggleMenu(this.panel, this.button); });
    slot(this.panel, "reconnect").addEventListener("click", () => { closeMenu(); socket.reconnectNow(); });
    slot(this.panel, "check").addEventListener("click", () => this.selfCheck());
    slot(this.panel, "copy").addEventListener("click", () => this.copy());
    socket.on("state", ({ state }) => this.set(state));
    setInterval(() => this.panel.hidden || this.refresh(), 1000);
  }

  set(state, missing = 0) {
    // A first connection and each new try after a loss look different: a loss stays red until it is over.
    if (state === "connecting" && this.state === "offline") return;
    this.state = state;
    this.missing = missing;
    this.button.dataset.state = state;
    find("#connection-word").textContent = this.word();
    this.refresh();
  }

  word() {
    return this.state === "filling" ? t("filling", { n: this.missing }) : t(this.state);
  }

  refresh() {
    const { socket, panel } = this;
    slot(panel, "dot").className = `dot ${{ live: "dot-g", filling: "dot-b", offline: "dot-r" }[this.state] ?? ""}`;
    say(panel, "title", this.state === "offline" ? t("offline_long") : this.word());
    say(panel, "next", this.nextTry());
    say(panel, "last", socket.lastEventAt ? `${clock(socket.lastEventAt)}:${String(new Date(socket.lastEventAt).getSeconds()).padStart(2, "0")}` : "—");
    say(panel, "trip", socket.tripMs === null ? "—" : t("ms", { n: socket.tripMs }));
    say(panel, "reconnects", t("times", { n: socket.reconnects }));
    say(panel, "outbox", this.outbox.items.length ? t("waiting_to_send", { n: this.outbox.items.length }) : t("none"));
    slot(panel, "reconnect").hidden = this.state === "live" || this.state === "filling";
  }

  nextTry() {
    if (this.state !== "offline") return "";
    const seconds = Math.ceil(((this.socket.retryAt ?? 0) - Date.now()) / 1000);
    return seconds > 0 ? t("retry_in", { n: seconds }) : t("retrying");
  }

  selfCheck() {
    const count = this.check();
    toast(count < 0 ? t("gap") : t("checked", { n: count }));
  }

  async copy() {
    const { tripMs, reconnects, lastEventAt } = this.socket;
    const facts = { state: this.state, tripMs, reconnects, lastEventAt, outbox: this.outbox.items.length, page: location.pathname, agent: navigator.userAgent };
    await navigator.clipboard?.writeText(JSON.stringify(facts, null, 1));
    toast(t("copied_diagnosis"));
  }
}
