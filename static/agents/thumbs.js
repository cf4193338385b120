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

const turns = new Map(); // path -> the last word that is on its way

/** Show it at once, tell the server; what it refuses is taken back. `path` is below conversations/. */
export async function judge(button, path) {
  const box = button.closest("[data-slot=thumbs]");
  const before = shownBy(box);
  const wanted = GOOD[button.dataset.thumb];
  const good = before === wanted ? null : wanted;
  showThumbs(box, good);
  // One after the other: the last press is the one that counts.
  const turn = Promise.resolve(turns.get(path)).then(() => call("POST", `conversations/${path}/feedback/`, { good }));
  const settled = turn.catch(() => {});
  turns.set(path, settled);
  try {
    await turn;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    showThumbs(box, before);
    toast(t("failed_action", { reason: error.reason }));
  } finally {
    if (turns.get(path) === settled) turns.delete(path);
  }
}
