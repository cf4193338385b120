/* A face: picture, initial, or the bot's rounded square. */

import { el, icon } from "./dom.js";

const BIG = 36;

/** 1–8 from a name: the same person always has the same hue. */
export function hueOf(name) {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  return (hash % 8) + 1;
}

/** The given name's last character in Chinese (小芳 → 芳), the first letter elsewhere. */
export function initialOf(name) {
  const letters = [...name.trim()];
  const last = letters.at(-1) ?? "?";
  return /\p{Script=Han}/u.test(last) ? last : (letters[0] ?? "?").toUpperCase();
}

export function avatar({ kind, name = "", avatar: picture = null }, size = 28) {
  if (kind === "bot") return el("span", { class: `av av-${size} av-bot`, "aria-hidden": "true" }, icon("bot", 16));
  if (picture) return el("span", { class: `av av-${size}` }, el("img", { src: picture, alt: "" }));
  const face = `av av-${size} hue-${hueOf(name)}${size >= BIG ? " av-big" : ""}`;
  return el("span", { class: face, "aria-hidden": "true" }, initialOf(name));
}
