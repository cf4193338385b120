/* One's own status, and how things look. */

import { find, findAll } from "./dom.js";
import { t } from "./format.js";
import { toggleMenu } from "./menus.js";
import { save } from "./store.js";

export class Status {
  constructor({ socket, status }) {
    this.socket = socket;
    this.status = status;
    this.button = find("#status-button");
    this.menu = find("#my-menu");
    this.button.addEventListener("click", () => this.toggle());
    for (const item of findAll("[data-set-status]", this.menu)) {
      item.addEventListener("click", () => this.choose(item.dataset.setStatus, item.dataset.reason ?? ""));
    }
    for (const item of findAll("[data-theme-choice]", this.menu)) {
      item.addEventListener("click", () => chooseTheme(item.dataset.themeChoice));
    }
    socket.on("status", (frame) => this.show(frame.status));
  }

  toggle() {
    toggleMenu(this.menu, this.button);
  }

  choose(status, reason) {
    if (!this.socket.send({ type: "status", status, reason })) return;
    this.show(status);
  }

  show(status) {
    this.status = status;
    find("#my-presence").dataset.status = status;
    find("#my-status").textContent = t(`agent.${status}`);
    for (const item of findAll("[data-set-status]", this.menu)) item.setAttribute("aria-checked", item.dataset.setStatus === status);
  }

  setOffline(offline) {
    document.body.classList.toggle("is-offline", offline);
    if (offline) find("#my-status").textContent = t("not_synced");
    else this.show(this.status);
  }
}

function chooseTheme(choice) {
  save("kefu.theme", choice);
  document.documentElement.dataset.themeChoice = choice;
  dispatchEvent(new Event("kefu:theme"));
}
