/* While an input method composes, and for 80 ms after, Enter, arrows, Tab, Esc and digits belong to it.
   Some browsers end the composition before the keydown of the Enter that picked the candidate; hence the pause. */

const AFTER_MS = 80;
let composing = false;
let endedAt = -Infinity;

document.addEventListener("compositionstart", () => { composing = true; }, true);
document.addEventListener("compositionend", () => { composing = false; endedAt = performance.now(); }, true);

/** Whether this key event belongs to an input method. */
export function belongsToInputMethod(event) {
  return event.isComposing || event.keyCode === 229 || composing || performance.now() - endedAt < AFTER_MS;
}
