/* Menus and popovers: one open at a time; arrows move, Esc and a click outside close, focus goes back. */

import { find, findAll } from "./dom.js";
import { belongsToInputMethod } from "./ime.js";

let open = null;

export function openMenu(menu, button) {
  closeMenu();
  open = { menu, button };
  menu.hidden = false;
  button?.setAttribute("aria-expanded", "true");
  items(menu)[0]?.focus();
}

export function closeMenu({ refocus = false } = {}) {
  if (!open) return false;
  open.menu.hidden = true;
  open.button?.setAttribute("aria-expanded", "false");
  if (refocus) open.button?.focus();
  open = null;
  return true;
}

export function toggleMenu(menu, button) {
  if (open?.menu === menu) closeMenu({ refocus: true });
  else openMenu(menu, button);
}

function items(menu) {
  return findAll(".menu-item, .popover-buttons .btn", menu).filter((item) => !item.hidden && !item.disabled);
}

function onKey(event) {
  if (!open || belongsToInputMethod(event)) return;
  const all = items(open.menu);
  const at = all.indexOf(document.activeElement);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") {
    event.stopPropagation();
    closeMenu({ refocus: true });
  } else if (step && all.length) {
    event.preventDefault();
    all[(at + step + all.length) % all.length].focus();
  } else if (event.key === "Home" || event.key === "End") {
    event.preventDefault();
    all.at(event.key === "Home" ? 0 : -1)?.focus();
  } else if (event.key.length === 1 && !event.ctrlKey && !event.altKey && !event.metaKey) {
    all.find((item) => item.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
  }
}

document.addEventListener("keydown", onKey, true);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-menu]");
  if (button) {
    toggleMenu(find(`#${button.dataset.menu}`), button);
  } else if (open && !open.button?.contains(event.target) && (!open.menu.contains(event.target) || event.target.closest(".menu-item"))) {
    closeMenu();
  }
});

for (const button of findAll("dialog [data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
