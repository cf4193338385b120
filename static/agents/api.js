/* REST and fragments of this server, with the session cookie. */

import { find } from "./dom.js";
import { has, t } from "./format.js";

export class Refused extends Error {
  constructor(status, code, detail) {
    super(detail || code || String(status));
    this.status = status;
    this.code = code;
    this.detail = detail;
  }

  /** In words for a person. */
  get reason() {
    if (this.code && has(this.code)) return t(this.code);
    return this.detail || t(this.status === 0 ? "network" : "unavailable");
  }
}

function csrfToken() {
  return find("input[name=csrfmiddlewaretoken]")?.value ?? "";
}

async function ask(url, options) {
  try {
    return await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "network", "");
  }
}

async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  const error = body.errors?.[0] ?? {};
  return new Refused(response.status, error.code, error.detail);
}

async function request(method, path, body, signal) {
  const response = await ask(`/api/v1/${path}`, {
    method,
    signal,
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrfToken() },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok) throw await refusal(response);
  return response;
}

/** JSON in, JSON out; raises Refused. */
export async function call(method, path, body) {
  const response = await request(method, path, body);
  return response.status === 204 ? null : response.json();
}

/** JSON in, server-sent events out, as [name, data]; raises Refused, also where the stream breaks off. */
export async function* events(path, body, signal) {
  const response = await request("POST", path, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Refused(0, "network", "");
    });
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) yield parsed(block);
  }
}

function parsed(block) {
  const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
  return [fields.event, JSON.parse(fields.data)];
}

/** HTML that the server rendered; a redirect to the log-in page counts as 401. */
export async function fragment(path, signal) {
  const response = await ask(path, { signal, headers: { Accept: "text/html", "X-Requested-With": "fetch" } });
  if (response.redirected && new URL(response.url).pathname.startsWith("/login")) throw new Refused(401, "signed_out", "");
  if (!response.ok) throw new Refused(response.status, "", "");
  return response.text();
}

/** One file; onProgress(0…1). Returns {done: Promise of the upload payload, abort()}. */
export function upload(file, onProgress) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.upload.addEventListener("progress", (event) => event.lengthComputable && onProgress(event.loaded / event.total));
    request.addEventListener("load", () => {
      if (request.status === 201) resolve(JSON.parse(request.responseText));
      else reject(new Refused(request.status, { 413: "upload_size", 415: "upload_type" }[request.status] ?? "", ""));
    });
    request.addEventListener("error", () => reject(new Refused(0, "network", "")));
    request.addEventListener("abort", () => reject(new Refused(0, "aborted", "")));
  });
  const form = new FormData();
  form.append("file", file);
  request.open("POST", "/api/v1/uploads/");
  request.setRequestHeader("X-CSRFToken", csrfToken());
  request.send(form);
  return { done, abort: () => request.abort() };
}
