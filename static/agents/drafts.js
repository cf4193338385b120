/* Drafts survive reload, crash and log-out: one for each agent, conversation and mode, in localStorage. */

import { load, remove, save } from "./store.js";

let username = "";

export function setOwner(name) {
  username = name;
}

const key = (conversation, mode) => `kefu.draft.${username}.${conversation}.${mode}`;

/** {text, at} or null. */
export function draftOf(conversation, mode) {
  return load(key(conversation, mode));
}

export function keep(conversation, mode, text) {
  if (text.trim()) save(key(conversation, mode), { text, at: new Date().toISOString() });
  else remove(key(conversation, mode));
}

export function anyDraft(conversation) {
  return draftOf(conversation, "reply") ?? draftOf(conversation, "note");
}

export function modeOf(conversation) {
  return load(`kefu.mode.${conversation}`, "reply");
}

export function keepMode(conversation, mode) {
  if (mode === "reply") remove(`kefu.mode.${conversation}`);
  else save(`kefu.mode.${conversation}`, mode);
}
