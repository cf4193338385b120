/* One message as an element: text, pictures, files, where an answer comes from, and the state of one's own. */

import { el, icon } from "./dom.js";
import { linkified } from "../../js/linkify.js";
import { marked } from "../../js/markup.js";
import { showPicture } from "./lightbox.js";
import { fileSize, t } from "./words.js";

const STATES = {
  queued: ["circle-dashed", "state_queued"],
  sending: ["circle", "state_sending"],
  pending: ["circle", "state_sending"],
  sent: ["check", "state_sent"],
  delivered: ["check-check", "state_delivered"],
  read: ["check-check", "state_read"],
};

const isPicture = (file) => file.content_type?.startsWith("image/");

function picture(file) {
  const image = el("img", { src: file.url, alt: file.name || t("picture"), loading: "lazy" });
  const label = t("open_picture", { name: file.name });
  return el("button", { type: "button", class: "pic", "aria-label": label, onclick: () => showPicture(file) }, image);
}

function fileLink(file) {
  return el("a", { class: "file", href: file.url, download: file.name, target: "_blank", rel: "noopener" },
    icon("file-text", 20),
    el("span", { class: "file-name" }, file.name),
    el("span", { class: "file-size" }, fileSize(file.size)));
}

function sources(citations) {
  const chips = citations.map((citation) => sourceChip(typeof citation === "string" ? { title: citation } : citation));
  return el("div", { class: "sources" }, chips);
}

function sourceChip({ title, url }) {
  const inner = [icon("file-text", 12), title];
  if (!/^https?:\/\//i.test(url ?? "")) return el("span", { class: "chip" }, inner);
  return el("a", { class: "chip", href: url, target: "_blank", rel: "noopener noreferrer" }, inner);
}

/** The bubble alone. `growing` marks an answer that is still being written. */
export function bubble({ text, attachments = [], citations = [] }, { side, growing = false, failed = false }) {
  const pictures = attachments.filter(isPicture);
  const files = attachments.filter((file) => !isPicture(file));
  const looks = ["bubble", `bubble-${side}`, growing ? "is-growing" : "", failed ? "is-failed" : ""];
  const box = el("div", { class: looks.join(" ").trim() });
  if (text) box.append(el("p", { class: "text", dir: "auto" }, side === "bot" ? marked(text) : linkified(text)));
  box.append(...pictures.map(picture), ...files.map(fileLink));
  if (pictures.length && !text && !files.length) box.classList.add("is-bare");
  if (citations.length) box.append(sources(citations));
  return box;
}

/** "已读 ✓✓" under one's own message. */
export function stateLine(state) {
  const [shape, key] = STATES[state] ?? STATES.sent;
  return el("div", { class: "state", "data-state": state }, t(key), icon(shape, 14));
}

/** "未发送，点按重试" with the reason, under a failed one. */
export function failedLine(reason, onRetry, onDiscard) {
  return el("div", { class: "state is-failed" }, icon("triangle-alert", 14), reason,
    el("button", { type: "button", class: "link strong", onclick: onRetry }, t("retry")),
    el("button", { type: "button", class: "link", onclick: onDiscard }, t("discard")));
}
