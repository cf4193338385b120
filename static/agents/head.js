/* The open conversation's state on the page: owner chip, status, and which actions are legal now. */

import { findAll, say, show, slot } from "./dom.js";
import { duration, initial, setHue, t } from "./format.js";
import { labelElement } from "./row.js";

export function ownerWord(conversation, username) {
  if (conversation.assignee) return conversation.assignee === username ? "me" : "other";
  return conversation.owner.kind === "agent" ? "other" : conversation.owner.kind;
}

/** Show what fits: data-when-status and data-when-owner, as the `shown` tag writes them. */
export function applyState(root, conversation, username) {
  const owner = ownerWord(conversation, username);
  for (const element of findAll("[data-when-status], [data-when-owner]", root)) {
    const { whenStatus, whenOwner } = element.dataset;
    const fits = (!whenStatus || whenStatus.split(" ").includes(conversation.status))
      && (!whenOwner || whenOwner.split(" ").includes(owner));
    show(element, fits);
  }
  fillOwner(root, conversation);
  for (const element of findAll("[data-slot=status-text]", root)) element.textContent = t(`status.${conversation.status}`);
  for (const dot of findAll("[data-slot=status-dot]", root)) dot.dataset.status = conversation.status;
  for (const item of findAll("[data-priority]", root)) item.setAttribute("aria-checked", item.dataset.priority === conversation.priority);
  fillContext(root, conversation);
}

function fillOwner(root, conversation) {
  say(root, "contact-name", conversation.contact.name || t("visitor"));
  say(root, "owner-text", t("attended_by", { name: conversation.owner.name }));
  say(root, "owner-initial", initial(conversation.owner.name));
  setHue(slot(root, "owner-avatar"), conversation.owner.name);
  const queue = slot(root, "queue-text");
  queue.dataset.since = conversation.waiting_since ?? "";
  queue.dataset.ahead = conversation.queue?.ahead ?? "";
  tickQueue(root);
}

/** 等待人工，前面 2 人，已等 1:20; called every second. */
export function tickQueue(root) {
  const queue = slot(root, "queue-text");
  if (!queue?.dataset.since) return;
  const time = duration(Math.max(0, (Date.now() - new Date(queue.dataset.since)) / 1000));
  const { ahead } = queue.dataset;
  queue.textContent = ahead ? t("queued_ahead", { n: ahead, time }) : t("queued_for", { time });
}

function fillContext(root, conversation) {
  const context = root.querySelector("#context");
  if (!context) return;
  say(context, "priority-text", t(conversation.priority));
  const team = context.querySelector("[data-slot=team-text]");
  if (team.dataset.slug !== (conversation.team ?? "")) {
    const option = document.querySelector(`#transfer-list input[value="team:${CSS.escape(conversation.team ?? "")}"]`);
    team.textContent = option?.dataset.name ?? conversation.team ?? t("none");
    team.dataset.slug = conversation.team ?? "";
  }
  const labels = slot(context, "labels");
  if (conversation.labels.length) labels.replaceChildren(...conversation.labels.map(labelElement));
  else labels.textContent = t("none");
}
