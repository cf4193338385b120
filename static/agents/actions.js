/* What can be done with a conversation, by REST (contract §6); each says what it did, some can be undone. */

import { call } from "./api.js";
import { find } from "./dom.js";
import { clock, day, t } from "./format.js";
import { toast } from "./toasts.js";

export class Actions {
  /** onChange(conversation) takes each answer, before the socket tells the same. */
  constructor({ username, onChange }) {
    Object.assign(this, { username, onChange });
  }

  /** POST one verb. True where it was done; else a toast has said why not. */
  async act(id, verb, body = {}) {
    try {
      const answer = await call("POST", `conversations/${id}/${verb}/`, body);
      if (answer?.number) this.onChange(answer);
      return true;
    } catch (error) {
      toast(t("failed_action", { reason: error.reason ?? error.message }));
      return false;
    }
  }

  async takeOver({ id, contact, status }) {
    const words = status === "queued" ? t("claimed", { name: nameOf(contact) }) : t("taken_over");
    return await this.act(id, "take-over") && toast(words);
  }

  async claim(conversation) {
    if (!conversation.assignee) return this.takeOver(conversation);
    const done = await this.act(conversation.id, "assign", { agent: this.username });
    return done && toast(t("claimed", { name: nameOf(conversation.contact) }));
  }

  async returnToBot({ id }) {
    return await this.act(id, "return-to-bot") && toast(t("returned"));
  }

  async resolve({ id, contact }) {
    const done = await this.act(id, "resolve");
    if (done) {
      toast(t("resolved_toast", { name: nameOf(contact) }), { action: t("undo"), onAction: () => this.act(id, "reopen") });
    }
    return done;
  }

  async reopen({ id }) {
    return await this.act(id, "reopen") && toast(t("reopened"));
  }

  async snooze({ id }, until) {
    const time = `${day(until)} ${clock(until)}`;
    return await this.act(id, "snooze", { until: until.toISOString() }) && toast(t("snoozed_until", { time }));
  }

  /** target: "agent:<username>" or "team:<slug>". */
  async transfer({ id }, target, name, note) {
    const [kind, key] = target.split(":");
    const done = await this.act(id, "transfer", { [kind]: key, note });
    return done && toast(t("transferred", { name }));
  }

  async setPriority({ id }, priority) {
    try {
      this.onChange(await call("PATCH", `conversations/${id}/`, { priority }));
      toast(t("priority_set", { name: t(priority) }));
    } catch (error) {
      toast(t("failed_action", { reason: error.reason ?? error.message }));
    }
  }

  async copyLink({ number }) {
    await navigator.clipboard?.writeText(`${location.origin}/console/c/${number}`);
    toast(t("copied"));
  }
}

const nameOf = (contact) => contact.name || t("visitor");

/** The transfer dialog: resolves to {target, name, note}, or null. */
export function askTransfer() {
  const dialog = find("#transfer-dialog");
  const form = find("#transfer-form");
  const confirm = find("#transfer-ok");
  form.reset();
  filterPicks("");
  confirm.disabled = true;
  dialog.showModal();
  find("#transfer-search").oninput = (event) => filterPicks(event.target.value);
  form.onchange = () => { confirm.disabled = !find("input[name=target]:checked", form); };
  return new Promise((resolve) => {
    dialog.onclose = () => {
      const chosen = find("input[name=target]:checked", form);
      const done = dialog.returnValue === "ok" && chosen;
      dialog.returnValue = "";
      resolve(done ? { target: chosen.value, name: chosen.dataset.name, note: find("#transfer-note").value } : null);
    };
  });
}

function filterPicks(text) {
  const wanted = text.trim().toLowerCase();
  for (const pick of document.querySelectorAll("#transfer-list .pick")) {
    pick.hidden = Boolean(wanted) && !pick.dataset.words.toLowerCase().includes(wanted);
  }
}

/** Snooze presets, in the agent's own time zone. */
export function snoozeTime(preset, now = new Date()) {
  const at = (days, hour) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour);
  return {
    hour: () => new Date(now.getTime() + 3600e3),
    evening: () => (now.getHours() < 17 ? at(0, 18) : null),
    morning: () => at(1, 9),
    monday: () => at(((8 - now.getDay()) % 7) || 7, 9),
  }[preset]();
}

/** Any other time: resolves to a Date in the future, or null. */
export function askSnoozeTime() {
  const dialog = find("#snooze-dialog");
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      const until = new Date(find("#snooze-until").value);
      const done = dialog.returnValue === "ok" && until > new Date();
      dialog.returnValue = "";
      resolve(done ? until : null);
    };
  });
}
