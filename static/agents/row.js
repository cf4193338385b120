/* One conversation of the list: a clone of components/row.html, filled and refilled. */

import { clone, findAll, say, show, slot } from "./dom.js";
import { anyDraft } from "./drafts.js";
import { initial, setHue, t, waited, when } from "./format.js";
import { setDisc } from "./bubble.js";

const PREVIEWS = ["agent", "bot", "note"];

export function rowElement(conversation) {
  const element = clone("row");
  fillRow(element, conversation);
  return element;
}

export function fillRow(element, row) {
  remember(element, row);
  const link = slot(element, "link");
  link.href = `/console/c/${row.number}`;
  link.classList.toggle("is-unread", row.unread > 0);
  say(element, "name", row.contact.name || t("visitor"));
  say(element, "initial", initial(row.contact.name || t("visitor")));
  setHue(slot(element, "avatar"), row.contact.id);
  setDisc(slot(element, "disc"), row.inbox.channel);
  for (const level of ["high", "urgent"]) show(slot(element, level), row.priority === level);
  if (row.preview) fillPreview(element, row.preview);
  show(slot(element, "unread"), row.unread > 0);
  say(element, "unread", row.unread > 99 ? "99+" : row.unread);
  fillState(element, row);
  fillDraft(element);
  tick(element);
}

/** What ordering, counting and the clocks need later stands in the element's data. */
function remember(element, row) {
  Object.assign(element.dataset, {
    id: row.id, number: row.number, status: row.status, unread: row.unread, assignee: row.assignee ?? "",
    updated: row.updated_at ?? "", created: row.created_at ?? "", waiting: row.waiting_since ?? "", name: row.contact.name,
  });
}

function fillPreview(element, { direction, text }) {
  for (const name of PREVIEWS) show(slot(element, `from-${name}`), direction === name);
  slot(element, "preview").dataset.text = text;
  showPreview(element);
}

/** That somebody types comes first, then one's own draft, then the last line. */
function showPreview(element) {
  const preview = slot(element, "preview");
  preview.dataset.text ??= preview.textContent;
  const isTyping = slot(element, "link").classList.contains("is-typing");
  const draft = isTyping ? null : anyDraft(element.dataset.id);
  show(slot(element, "draft"), draft);
  preview.textContent = isTyping ? t("typing") : draft?.text ?? preview.dataset.text;
}

function fillState(element, row) {
  show(slot(element, "queued"), row.status === "queued");
  show(slot(element, "state"), row.status !== "queued" && row.status !== "open");
  say(element, "state", t(`status.${row.status}`));
  show(slot(element, "owner"), Boolean(row.assignee));
  show(slot(element, "owner-bot"), row.owner.kind === "bot");
  say(element, "owner-initial", initial(row.owner.name));
  setHue(slot(element, "owner"), row.owner.name);
  slot(element, "owner").title = row.owner.name;
  show(slot(element, "claim"), !row.assignee && row.status !== "resolved");
  show(slot(element, "resolve"), row.status !== "resolved");
  slot(element, "labels").replaceChildren(...row.labels.slice(0, 2).map(labelElement));
}

export function labelElement(name) {
  const label = clone("label");
  say(label, "text", name);
  return label;
}

export function fillDraft(element) {
  showPreview(element);
}

/** The running words: how long ago, how long waiting. */
export function tick(element) {
  const { status, waiting, updated } = element.dataset;
  const time = slot(element, "time");
  const waits = status === "queued" && waiting;
  time.textContent = waits ? waited(waiting) : when(updated);
  time.dateTime = updated;
  time.classList.toggle("is-waiting", Boolean(waits));
}

export function setTyping(element, on) {
  slot(element, "link").classList.toggle("is-typing", on);
  showPreview(element);
}

export function select(list, number) {
  for (const link of findAll(".row", list)) {
    const isOpen = link.closest(".row-item").dataset.number === String(number);
    link.classList.toggle("is-selected", isOpen);
    if (isOpen) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
