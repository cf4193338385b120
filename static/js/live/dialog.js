// The dialog that starts a drill; for those who may.

import { post } from "./post.js";
import { say } from "./words.js";

export function preparedDialog(refresh) {
  const dialog = document.getElementById("drill-dialog");
  if (!dialog) return;
  const form = document.getElementById("drill-form");
  document.getElementById("open-drill").addEventListener("click", () => dialog.showModal());
  document.getElementById("close-drill").addEventListener("click", () => dialog.close());
  form.elements.fault.addEventListener("change", () => showDelay(form));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await send(form)) {
      dialog.close();
      await refresh();
    }
  });
  showDelay(form);
}

function showDelay(form) {
  form.querySelector('[data-field="delay_s"]').hidden = form.elements.fault.value !== "delay";
}

async function send(form) {
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  const answer = await post(form.action, new FormData(form));
  button.disabled = false;
  const errors = answer?.status === 422 ? (await answer.json()).errors : {};
  if (!answer?.ok && answer?.status !== 422) errors[""] = [say("failed")];
  showErrors(form, errors);
  return Boolean(answer?.ok);
}

// What belongs to no field of ours stands at the top.
function showErrors(form, errors) {
  const places = new Map([...form.querySelectorAll("[data-error]")].map((p) => [p.dataset.error, p]));
  for (const place of places.values()) place.textContent = "";
  for (const [field, texts] of Object.entries(errors)) {
    const place = places.get(field) ?? places.get("");
    place.textContent = [place.textContent, ...texts].filter(Boolean).join(" ");
  }
}
