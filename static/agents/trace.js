/* The way of one message, hop by hop: a popover at its tick. */

import { call } from "./api.js";
import { clone, find, say, show, slot } from "./dom.js";
import { has, t } from "./format.js";
import { closeMenu, openMenu } from "./menus.js";
import { toast } from "./toasts.js";

export class Trace {
  constructor(panel) {
    this.panel = panel;
    slot(panel, "copy").addEventListener("click", () => this.copy());
    slot(panel, "close").addEventListener("click", () => closeMenu({ refocus: true }));
    slot(panel, "retry").addEventListener("click", () => this.load());
  }

  async open(button, message) {
    if (!this.panel.hidden && this.message?.id === message.id) return closeMenu({ refocus: true });
    this.message = message;
    openMenu(this.panel, button);
    place(this.panel, button);
    slot(this.panel, "close").focus();
    await this.load();
    return place(this.panel, button);
  }

  async load() {
    const { message, panel } = this;
    this.setState("loading");
    try {
      const found = await call("GET", `conversations/${message.conversation}/messages/${message.id}/trace/`);
      if (this.message !== message) return;
      this.found = found;
      slot(panel, "hops").replaceChildren(...found.hops.map(hopElement));
      say(panel, "trace-id", found.trace);
      this.setState(found.hops.length ? "ready" : "empty");
    } catch (error) {
      if (this.message !== message) return;
      say(panel, "reason", error.reason ?? error.message);
      this.setState("failed");
    }
  }

  setState(state) {
    for (const part of this.panel.querySelectorAll("[data-trace-state]")) show(part, part.dataset.traceState === state);
    slot(this.panel, "copy").disabled = state !== "ready";
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(asText(this.found));
      toast(t("copied"));
    } catch {
      getSelection().selectAllChildren(slot(this.panel, "hops"));
      toast(t("copilot.selected"));
    }
  }
}

function hopElement(hop) {
  const element = clone("hop");
  element.dataset.result = hop.result;
  say(element, "stage", stageWords(hop.stage));
  say(element, "result", hop.result === "ok" ? "" : t(`hop_result.${hop.result}`));
  say(element, "time", timeOf(hop)).dateTime = hop.at;
  say(element, "detail", [hop.code, hop.detail].filter(Boolean).join(" "));
  return element;
}

export function stageWords(stage) {
  if (stage.startsWith("ai:")) return t("hop.ai", { name: stage.slice(3) });
  return has(`hop.${stage}`) ? t(`hop.${stage}`) : stage;
}

function timeOf({ at, ms }) {
  const time = new Date(at).toLocaleTimeString("en-GB", { hour12: false });
  return ms === null ? time : `${time} · +${t("ms", { n: ms })}`;
}

function asText({ trace, hops }) {
  const lines = hops.map((hop) => [hop.at, stageWords(hop.stage), t(`hop_result.${hop.result}`), hop.code, hop.detail].filter(Boolean).join("  "));
  return [`trace ${trace || "-"}`, ...lines].join("\n");
}

function place(panel, button) {
  if (matchMedia("(max-width: 767px)").matches) return;
  const at = button.getBoundingClientRect();
  const end = button.closest(".msg").getBoundingClientRect().bottom;
  const { offsetWidth: width, offsetHeight: height } = panel;
  panel.style.insetInline = `${Math.max(12, Math.min(at.right - width, innerWidth - width - 12))}px auto`;
  panel.style.insetBlock = `${at.top > height + 20 ? at.top - height - 8 : Math.min(end + 8, innerHeight - height - 12)}px auto`;
}
