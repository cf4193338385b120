/* The conversation as a text file, made in the browser: nothing is asked of the server. */

import { clockTime, dayTime } from "./view/words.js";

function line({ author, created_at: at, text, attachments }) {
  const files = attachments.map((file) => `[${file.name}]`);
  return `${dayTime(new Date(at))} ${author.name}: ${[text, ...files].filter(Boolean).join(" ")}`;
}

export function saveTranscript(messages, name) {
  const text = messages.map(line).join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/plain;charset=utf-8" }));
  link.download = `${name} ${clockTime(new Date()).replace(":", "")}.txt`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
}
