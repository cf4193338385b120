/* 👍 and 👎 of an AI's words: pressed, pressed again to take back, and never both. */

import { Refused, call } from "./api.js";
import { find } from "./dom.js";
import { t } from "./format.js";
import { toast } from "./toasts.js";

const GOOD = { up: true, down: false };

export function showThumbs(box, good) {
  for (const [name, value] of Object.entries(GOOD)) {
    find(`[data-thumb=${name}]`, box).setAttribute("aria-pressed", String(good === value));
  }
}

function shownBy(box) {
  const pressed = find("[aria-pressed=true]", box);
  return pressed ? GOOD[pressed.dataset.thumb] : null;
}

/** Show it at once, tell the server; what it refuses is taken back. `path` is below conversations/. */
export async function judge(button, path) {
  const box = button.closest("[data-slot=thumbs]");
  const before = shownBy(box);
  const wanted = GOOD[button.dataset.thumb];
  const good = before === wanted ? null : wanted;
  showThumbs(box, good);
  try {
    await call("POST", `conversations/${path}/feedback/`, { good });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    showThumbs(box, before);
    toast(t("failed_action", { reason: error.reason }));
  }
}
