/* A reply that did not arrive: why, in words, and sending it again. */

import { call } from "./api.js";
import { linkButton, say, show, slot } from "./dom.js";
import { has, t } from "./format.js";
import { toast } from "./toasts.js";

/** "消息未送达：… 45015": the reason in words where we know the code, else the platform's own. */
export function faultWords({ code = "", detail = "" } = {}) {
  const reason = has(`fault.${code}`) ? t(`fault.${code}`) : detail || t("fault.other");
  const shown = /^\d+$/.test(code) ? ` ${code}` : "";
  return (code === "unknown" ? reason : t("not_delivered_because", { reason })) + shown;
}

export function fillFault(element, message, isStored) {
  const failed = message.status === "failed";
  show(slot(element, "fault"), failed);
  if (failed) say(element, "fault-text", faultWords(message.error));
  show(slot(element, "fault-actions"), failed && isStored);
}

/** One that may have arrived is asked about once. */
export async function resend(element, message) {
  if (message.error?.code === "unknown" && !element.dataset.asked) return ask(element, message);
  const buttons = slot(element, "fault-actions");
  show(buttons, false);
  try {
    await call("POST", `conversations/${message.conversation}/messages/${message.id}/resend/`, {});
    say(element, "fault-text", t("sending_again"));
  } catch (error) {
    show(buttons, true);
    toast(t("failed_action", { reason: error.reason ?? error.message }));
  }
  return undefined;
}

function ask(element, message) {
  const buttons = slot(element, "fault-actions");
  const before = [...buttons.childNodes];
  const words = slot(element, "fault-text").textContent;
  const back = () => { say(element, "fault-text", words); buttons.replaceChildren(...before); };
  say(element, "fault-text", t("may_repeat"));
  const again = linkButton(t("send_anyway"), () => { element.dataset.asked = "yes"; back(); resend(element, message); });
  buttons.replaceChildren(again, linkButton(t("cancel"), back));
  again.focus();
}
