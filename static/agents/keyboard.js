/* Shortcuts. Alt combinations go by the physical key (`code`), so that dead keys and other layouts do not matter;
   single keys only where no field has the focus; nothing while an input method composes. */

import { find } from "./dom.js";
import { belongsToInputMethod } from "./ime.js";
import { closeMenu, openMenu } from "./menus.js";

/** commands: {name: function}; returns nothing, listens for good. */
export function listen(commands) {
  const alt = {
    KeyJ: "next", KeyK: "previous", KeyU: "nextUnread", Digit1: "mine", Digit2: "unassigned", Digit3: "team", Digit4: "all",
    KeyL: "reply", KeyP: "note", KeyE: "resolve", KeyH: "snooze", KeyM: "claim", KeyT: "transfer", KeyB: "bot", KeyO: "context", KeyS: "status",
    Enter: "adopt",
  };
  const altShift = { KeyE: "resolveAndNext", KeyO: "reopen", KeyA: "attach" };
  const single = { "?": "help", r: "reply", n: "note", "]": "context" };

  document.addEventListener("keydown", (event) => {
    if (belongsToInputMethod(event) || find("dialog[open]")) return;
    const name = nameOf(event, { alt, altShift, single });
    if (!name) return;
    event.preventDefault();
    closeMenu();
    commands[name]?.();
  });
}

function nameOf(event, { alt, altShift, single }) {
  if (event.ctrlKey || event.metaKey) return event.code === "Slash" && !event.altKey ? "help" : null;
  if (event.altKey) return (event.shiftKey ? altShift : alt)[event.code];
  if (event.key === "Escape") return "escape";
  return event.target.closest("input, textarea, select, [contenteditable]") ? null : single[event.key];
}

export function openMenuOf(selector) {
  const button = find(selector);
  if (button && !button.hidden) openMenu(find(`#${button.dataset.menu}`), button);
}
