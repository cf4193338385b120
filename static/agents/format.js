/* Moments and people in words: what agents/templatetags/ui.py does for templates. Change both together. */

import { readJSON } from "./dom.js";

const words = readJSON("i18n") ?? {};
const english = document.documentElement.lang === "en";

export function t(key, values = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export const has = (key) => key in words;

export function hue(identity) {
  let total = 0;
  for (const character of String(identity ?? "")) total = (total * 31 + character.codePointAt(0)) >>> 0;
  return (total % 8) + 1;
}

export function setHue(element, identity) {
  element.classList.forEach((name) => name.startsWith("hue-") && element.classList.remove(name));
  element.classList.add(`hue-${hue(identity)}`);
}

export function initial(name) {
  return [...(name ?? "").trim()].slice(0, 1).join("").toUpperCase() || "?";
}

const two = (number) => String(number).padStart(2, "0");

export function clock(value) {
  const date = new Date(value);
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

export function isoDay(date) {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function isRecent(date) {
  return date.getFullYear() === new Date().getFullYear() || Date.now() - date < 2 * 86400e3;
}

export function day(value) {
  const date = new Date(value);
  if (isoDay(date) === isoDay(new Date())) return t("today");
  if (isoDay(date) === isoDay(new Date(Date.now() - 86400e3))) return t("yesterday");
  if (!isRecent(date)) return isoDay(date);
  if (english) return `${date.getDate()} ${date.toLocaleString("en", { month: "short" })}`;
  return `${date.getMonth() + 1}月${date.getDate()}日`;
}

export function when(value) {
  if (!value) return "";
  const date = new Date(value);
  const seconds = (Date.now() - date) / 1000;
  if (seconds < 60) return t("now");
  if (seconds < 3600) return t("minutes_ago", { n: Math.floor(seconds / 60) });
  if (seconds < 86400) return t("hours_ago", { n: Math.floor(seconds / 3600) });
  return isRecent(date) ? `${day(date)} ${clock(date)}` : isoDay(date);
}

/** Under an hour 6:40, from an hour in words. */
export function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(Math.floor(seconds % 60))}`;
  return t("hours_minutes", { h: Math.floor(minutes / 60), m: minutes % 60 });
}

export function waited(since) {
  const minutes = Math.max(0, Math.floor((Date.now() - new Date(since)) / 60000));
  if (minutes < 60) return t("waiting_minutes", { n: minutes });
  return t("waiting_hours", { n: Math.floor(minutes / 60) });
}

export function filesize(bytes) {
  const kilobytes = bytes / 1024;
  return kilobytes >= 1024 ? `${(kilobytes / 1024).toFixed(1)} MB` : `${Math.max(1, Math.round(kilobytes))} KB`;
}

const CHANNEL_ICONS = {
  wechat_oa: "message-circle", wecom: "building-2", wecom_kf: "building-2", web: "globe", app: "smartphone",
  api: "webhook", email: "mail", douyin: "music-2", whatsapp: "phone", sms: "message-square", taobao: "package",
};

export const channelIcon = (channel) => CHANNEL_ICONS[channel] ?? "send";
export const channelName = (channel) => (has(`channel.${channel}`) ? t(`channel.${channel}`) : channel);
