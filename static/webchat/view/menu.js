/* The ⋯ menu: arrow keys move, Esc closes and gives the focus back. */

import { byId } from "./dom.js";

export function menu(actions) {
  const button = byId("more");
  const box = byId("menu");
  const show = (open) => {
    box.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (open) enabled()[0]?.focus();
  };
  const enabled = () => [...box.querySelectorAll("button:not([disabled]):not([hidden])")];
  button.addEventListener("click", () => show(box.hidden));
  box.addEventListener("click", (event) => {
    const action = event.target.closest("[data-action]")?.dataset.action;
    if (!action) return;
    show(false);
    actions[action]();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      show(false);
      button.focus();
    }
    step(event, enabled());
  });
  document.addEventListener("click", (event) => {
    if (!box.hidden && !box.contains(event.target) && !button.contains(event.target)) show(false);
  });
}

function step(event, items) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const at = items.indexOf(document.activeElement);
  items.at((at + by) % items.length).focus();
}
