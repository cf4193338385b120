/* The chat page: one session, its views, and the bridge to a host page. */

import { Composer } from "./composer.js";
import { Host } from "./host.js";
import { Session } from "./session.js";
import { Store } from "./store.js";
import { applyTheme } from "./theming.js";
import { saveTranscript } from "./transcript.js";
import { Banner } from "./view/banner.js";
import { Chips } from "./view/chips.js";
import { byId } from "./view/dom.js";
import { Header } from "./view/header.js";
import { menu } from "./view/menu.js";
import { Rating } from "./view/rating.js";
import { Stream } from "./view/stream.js";

const config = JSON.parse(byId("config").textContent);
const PREVIEWS = 3;
const LONGEST_ADDRESS = 2000; // what the server takes

let drawing = false;
let isOpen = window.parent === window;
let hostPage = null;
let announced = null; // the newest message already read out

/* Not requestAnimationFrame: it stands still in a hidden frame, and the badge must not. */
function changed() {
  if (drawing) return;
  drawing = true;
  setTimeout(() => {
    drawing = false;
    draw();
  });
}

function pageOfVisit() {
  const { url, title, referrer } =
    hostPage ?? { url: location.origin + location.pathname, title: document.title, referrer: document.referrer };
  const clip = (value) => String(value ?? "").slice(0, LONGEST_ADDRESS);
  return { url: clip(url), title: clip(title), referrer: clip(referrer) };
}

const session = new Session({
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/chat/${config.key}/`,
  store: new Store(config.key),
  page: pageOfVisit,
  locale: config.locale,
  changed,
  told: (event, detail) => host.say("event", { event, detail }),
});
const stream = new Stream(session);
const header = new Header(session, config);
const banner = new Banner(session);
const rating = new Rating(session);
const chips = new Chips(session, config.quick_questions);
const composer = new Composer(session, config.upload_url);
const host = new Host(config.allowed_origins, {
  init: (value) => begin(value),
  visible: (open) => setOpen(open),
  identify: (jwt) => session.identify(jwt),
  page: (page) => (hostPage = page),
  prefill: (text) => composer.prefill(String(text)),
  locale: (locale) => changeLocale(locale),
  reset: () => session.reset(),
});
Object.assign(stream, { welcome: config.texts.welcome, botName: config.bot_name, onEnd: () => markRead() });
composer.onSent = () => stream.toEnd();
composer.onNotice = (words) => (byId("announce").textContent = words);

function draw() {
  header.draw();
  banner.draw();
  stream.draw();
  chips.draw();
  rating.draw();
  composer.draw();
  byId("menu-handoff").disabled = byId("bot-bar").hidden;
  markRead();
  tellHost();
  announce();
}

function markRead() {
  const seen = isOpen && stream.atEnd && document.visibilityState === "visible" && document.hasFocus();
  if (seen && session.unread.length) session.read();
}

function tellHost() {
  const fresh = isOpen ? [] : session.unread;
  const previews = fresh.slice(-PREVIEWS).map(({ id, author, text, attachments }) => ({
    id, name: author.kind === "bot" ? config.bot_name : author.name, text: text || attachments[0]?.name || "",
  }));
  host.say("unread", { count: fresh.length, previews });
}

/** New words are read out once, when they stand still; a growing answer is read at its end. */
function announce() {
  const last = session.log.messages.at(-1);
  if (!last || last.id === announced) return;
  const first = announced === null;
  announced = last.id;
  if (first || last.kind === "incoming") return;
  byId("announce").textContent = last.kind === "activity" ? last.text : `${last.author.name}: ${last.text}`;
}

/** The host page has said who it is. A visitor known from before is connected at once, for the badge. */
function begin({ page, identity, open }) {
  hostPage = page;
  if (identity) session.identify(identity);
  setOpen(open);
  if (session.hasHistory) session.start();
  host.say("config", { theme: config.theme, name: config.name });
}

function setOpen(open) {
  isOpen = open;
  if (!open) return changed();
  session.start();
  stream.toEnd();
  composer.focus();
  changed();
}

function changeLocale(locale) {
  const address = new URL(location.href);
  if (address.searchParams.get("lang") === locale) return;
  address.searchParams.set("lang", locale);
  location.replace(address);
}

/* Not confirm(): browsers keep it silent in frames of other origins. */
function forget() {
  const dialog = byId("forget-dialog");
  dialog.onclose = () => dialog.returnValue === "yes" && session.reset();
  dialog.returnValue = "";
  dialog.showModal();
}

menu({
  handoff: () => session.handOff(),
  transcript: () => saveTranscript(session.log.messages, config.name),
  language: () => changeLocale(config.locale === "en" ? "zh-hans" : "en"),
  forget,
});
byId("minimise").addEventListener("click", () => host.say("close"));
byId("close").addEventListener("click", () => host.say("close"));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && !composer.belongsToInputMethod(event)) host.say("close");
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") session.connection.probe();
  changed();
});
addEventListener("focus", () => changed());
addEventListener("online", () => session.connection.retryNow());
addEventListener("offline", () => session.connection.lost());
addEventListener("pageshow", (event) => event.persisted && session.connection.retryNow());

applyTheme(config.theme);
document.documentElement.classList.toggle("is-framed", host.framed);
if (!host.framed) setOpen(true);
draw();
