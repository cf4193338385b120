/* A message as an element: clones of the same components that the server renders. */

import { linkified } from "../js/linkify.js";
import { marked } from "../js/markup.js";
import { fillFault } from "./faults.js";
import { clone, say, setIcon, show, slot } from "./dom.js";
import { showThumbs } from "./thumbs.js";
import { channelIcon, channelName, clock, day, filesize, initial, setHue, t } from "./format.js";

const GROUP_MS = 180_000;
const DIVIDER_MS = 600_000;

/** What stands around a message: {divider, channel, first}, as in_stream of ui.py. */
export function placed(before, message) {
  if (!before) return { divider: true, channel: true, first: true };
  const then = new Date(before.created_at);
  const now = new Date(message.created_at);
  const channel = before.inbox.key !== message.inbox.key;
  const divider = channel || then.toDateString() !== now.toDateString() || now - then >= DIVIDER_MS;
  return { divider, channel, first: divider || now - then >= GROUP_MS || sender(before) !== sender(message) };
}

function sender(message) {
  return [message.kind, message.author.kind, message.author.name].join("\n");
}

export function dividerElement(message, channel) {
  const element = clone("divider");
  const time = say(element, "when", `${day(message.created_at)} ${clock(message.created_at)}`);
  time.dateTime = message.created_at;
  show(slot(element, "channel"), channel);
  say(element, "channel-text", channelName(message.inbox.channel));
  setDisc(slot(element, "disc"), message.inbox.channel);
  return element;
}

export function setDisc(disc, channel) {
  disc.dataset.channel = channel;
  disc.title = channelName(channel);
  setIcon(disc.firstElementChild, channelIcon(channel));
}

export function messageElement(message, { first = true, contactId = "" } = {}) {
  const make = { note: noteElement, activity: activityElement }[message.kind] ?? bubbleElement;
  const element = make(message, contactId);
  element.classList.toggle("is-first", first);
  element.dataset.seq = message.seq ?? "";
  element.dataset.id = message.id ?? "";
  element.dataset.status = message.status;
  return element;
}

function activityElement(message) {
  const element = clone("activity");
  say(element, "text", message.text);
  setClock(element, message);
  return element;
}

function noteElement(message) {
  const element = clone("note");
  say(element, "text", message.text);
  say(element, "author", message.author.name);
  setAvatar(slot(element, "avatar"), message.author.name, message.author.name);
  setClock(element, message);
  if (message.unsent) becomeUnsent(element);
  fillFiles(slot(element, "files"), message.attachments);
  return element;
}

function becomeUnsent(element) {
  element.classList.add("is-unsent");
  say(element, "mark", t("unsent_bot"));
  show(slot(element, "adopt"), true);
}

/** What was said, with its links; the bot's with its small Markdown. */
export function sayWords(element, text, kind) {
  slot(element, "text").replaceChildren(...(kind === "bot" ? marked(text) : linkified(text)));
}

function bubbleElement(message, contactId) {
  const { kind, name } = message.author;
  const element = clone("bubble");
  element.dataset.look = kind;
  sayWords(element, message.text, kind);
  say(element, "author", name);
  show(slot(element, "tag"), kind === "bot");
  show(slot(element, "bubble"), message.text || !message.attachments.length);
  fillFault(element, message, Boolean(message.id));
  show(slot(element, "thumbs"), "good" in message);
  showThumbs(slot(element, "thumbs"), message.good);
  setClock(element, message);
  if (kind === "bot") becomeBot(slot(element, "avatar"));
  else setAvatar(slot(element, "avatar"), name, kind === "contact" ? contactId : name);
  fillFiles(slot(element, "files"), message.attachments);
  fillSources(slot(element, "sources"), message.citations ?? []);
  fillQuoted(element, message.quoted ?? "");
  return element;
}

function setClock(element, message) {
  say(element, "clock", clock(message.created_at)).dateTime = message.created_at;
}

export function setAvatar(avatar, name, identity) {
  say(avatar, "initial", initial(name));
  avatar.title = name;
  setHue(avatar, identity);
}

function becomeBot(avatar) {
  avatar.className = "av av-28 av-bot";
  avatar.replaceChildren(slot(clone("row"), "owner-bot").firstElementChild);
}

function fillFiles(box, attachments) {
  box.replaceChildren(...(attachments ?? []).map(fileElement));
}

function fileElement(file) {
  const isPicture = file.content_type.startsWith("image/");
  const element = clone(isPicture ? "picture" : "file");
  element.href = file.url;
  if (isPicture) {
    Object.assign(slot(element, "image"), { src: file.url, alt: file.name });
  } else {
    say(element, "name", file.name);
    say(element, "size", filesize(file.size));
  }
  return element;
}

/** What a mail repeats of earlier ones, folded. */
function fillQuoted(element, quoted) {
  show(slot(element, "quoted"), quoted);
  say(element, "quoted-text", quoted);
}

function fillSources(box, citations) {
  show(box, citations.length);
  for (const citation of citations) {
    const chip = clone("source");
    say(chip, "title", citation.title ?? citation.name ?? "");
    box.append(chip);
  }
}
