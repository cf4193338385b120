/* The composition guard: while an input method composes, and for 80 ms after, Enter, arrows, Tab, Esc and digits are its
   own. Some browsers fire the Enter that picks a candidate after `compositionend`, hence the pause; keyCode 229 is what
   others report for any key during composition. */

export const SETTLE_MS = 80;

export function guardComposition(field, now = () => performance.now()) {
  let composing = false;
  let endedAt = -Infinity;
  field.addEventListener("compositionstart", () => {
    composing = true;
  });
  field.addEventListener("compositionend", () => {
    composing = false;
    endedAt = now();
  });
  /** Does this key event belong to the input method? */
  return (event) => composing || event.isComposing || event.keyCode === 229 || now() - endedAt < SETTLE_MS;
}
