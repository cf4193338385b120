/* A picture over the page, closed by Esc, by a click, or by its button. */

import { el, icon } from "./dom.js";
import { t } from "./words.js";

export function showPicture(file) {
  const dialog = el("dialog", { class: "lightbox", "aria-label": file.name || t("picture") },
    el("img", { src: file.url, alt: file.name || t("picture") }),
    el("button", { type: "button", class: "btn btn-icon lightbox-close", "aria-label": t("close") }, icon("x", 20)));
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
