/* One line between head and stream for what is wrong: no line, a pause asked for, not allowed, nothing kept. One at a
   time, the weightiest first. */

import { byId, icon } from "./dom.js";
import { t } from "./words.js";

const QUIET_MS = 1_500; // a blink of the line is not worth a word

export class Banner {
  constructor(session) {
    this.session = session;
    this.box = byId("banner");
    this.downSince = 0;
    byId("banner-retry").addEventListener("click", () => session.connection.retryNow());
    setInterval(() => this.draw(), 1_000);
  }

  #current() {
    const { session } = this;
    const down = session.state === "waiting" || !navigator.onLine;
    if (!down) this.downSince = 0;
    else this.downSince ||= Date.now();
    if (session.state === "ended") return ["unavailable", t("not_available")];
    if (session.blocked) return ["blocked", t("blocked")];
    if (down && Date.now() - this.downSince >= QUIET_MS) return ["offline", t("offline_banner")];
    const seconds = Math.ceil((session.pausedUntil - Date.now()) / 1000);
    if (session.limited && seconds > 0) return ["limited", t("rate_limited", { seconds })];
    if (!session.store.persistent) return ["memory", t("not_kept")];
    return [null, ""];
  }

  draw() {
    const [kind, words] = this.#current();
    this.box.hidden = kind === null;
    if (this.box.dataset.kind === String(kind) && byId("banner-text").textContent === words) return;
    this.box.dataset.kind = String(kind);
    byId("banner-icon").replaceChildren(icon({ offline: "wifi-off", limited: "hourglass", memory: "info" }[kind] ?? "circle-alert", 14));
    byId("banner-text").textContent = words;
    byId("banner-retry").hidden = kind !== "offline";
  }
}
