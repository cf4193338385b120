/* A small sheet of emoji, opened by a button; arrows move, Enter picks, Esc closes. */

import { byId, el } from "./dom.js";

const SHEET = [..."😀😁😂🤣😊😍😘😅😆😉😎🤔😐😌😴😭😢😡😱🥺🙏👍👎👌👏🤝💪🙌✌🌹❤💔🎉🎁🔥✅❌❓❗🌙☀🐱🐶🍉☕🚚📦💰"];
const COLUMNS = 8;

export function emojiPicker(button, onPick) {
  const sheet = byId("emoji-sheet");
  const show = (open) => {
    if (open && !sheet.children.length) sheet.append(...SHEET.map(choice));
    sheet.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (open) sheet.firstElementChild.focus();
  };
  const choice = (emoji) =>
    el("button", { type: "button", role: "menuitem", class: "emoji", tabindex: "-1", onclick: () => pick(emoji) }, emoji);
  const pick = (emoji) => {
    show(false);
    onPick(emoji);
  };
  button.addEventListener("click", () => show(sheet.hidden));
  sheet.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      show(false);
      button.focus();
    }
    moveFocus(event, [...sheet.children]);
  });
  document.addEventListener("click", (event) => {
    if (!sheet.hidden && !sheet.contains(event.target) && !button.contains(event.target)) show(false);
  });
}

function moveFocus(event, choices) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS };
  const step = steps[event.key];
  if (!step) return;
  event.preventDefault();
  choices[choices.indexOf(document.activeElement) + step]?.focus();
}
