/* Short notices, 6 s, bottom left; some can be undone. */

import { find } from "./dom.js";

const STAY_MS = 6000;

export function toast(text, { action, onAction } = {}) {
  const box = document.createElement("div");
  box.className = "toast";
  const words = document.createElement("span");
  words.className = "toast-text";
  words.textContent = text;
  box.append(words);
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn";
    button.textContent = action;
    button.addEventListener("click", () => { box.remove(); onAction(); });
    box.append(button);
  }
  find("#toasts").append(box);
  setTimeout(() => box.matches(":hover, :focus-within") || box.remove(), STAY_MS);
  box.addEventListener("pointerleave", () => setTimeout(() => box.remove(), 1500));
  while (find("#toasts").children.length > 4) find("#toasts").firstElementChild.remove();
}

let coalesced = null;

/** For screen readers; calls close together are said once, the last wins. */
export function announce(text) {
  clearTimeout(coalesced);
  coalesced = setTimeout(() => { find("#announcer").textContent = text; }, 700);
}
