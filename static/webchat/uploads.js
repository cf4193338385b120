/* Files on their way up, before the message that carries them. Each has its progress, and may be cancelled or tried again.
   XMLHttpRequest because fetch tells no progress of an upload. */

export const LONGEST_LIST = 10;
export const MAX_BYTES = 20 * 1024 * 1024;

const REASONS = { 401: "upload_failed", 413: "upload_too_large", 415: "upload_type", 429: "upload_later" };

export class Uploads {
  /** `token` gives the visitor's token or null; `changed` is called on every step. */
  constructor({ url, token, changed }) {
    Object.assign(this, { url, token, changed });
    this.items = []; // {file, progress 0…1, state: "loading"|"done"|"failed", reason, upload, preview}
  }

  /** Takes files in; returns false if some did not fit into one message. */
  add(files) {
    const room = LONGEST_LIST - this.items.length;
    for (const file of [...files].slice(0, room)) this.#begin(file);
    this.changed();
    return files.length <= room;
  }

  #begin(file) {
    const preview = file.type.startsWith("image/") ? URL.createObjectURL(file) : null;
    const item = { file, progress: 0, state: "loading", reason: null, upload: null, preview };
    this.items.push(item);
    if (file.size > MAX_BYTES) this.#failed(item, 413);
    else this.#send(item);
  }

  #send(item) {
    const request = new XMLHttpRequest();
    const body = new FormData();
    body.append("file", item.file, item.file.name || "image.png");
    Object.assign(item, { request, state: "loading", progress: 0, reason: null });
    request.open("POST", this.url);
    request.setRequestHeader("Authorization", `Bearer ${this.token() ?? ""}`);
    request.upload.onprogress = (event) => this.#moved(item, event.loaded / event.total);
    request.onload = () => (request.status === 201 ? this.#done(item, request) : this.#failed(item, request.status));
    request.onerror = () => this.#failed(item, 0);
    request.send(body);
  }

  #moved(item, progress) {
    item.progress = progress;
    this.changed();
  }

  #done(item, request) {
    Object.assign(item, { state: "done", progress: 1, upload: JSON.parse(request.responseText) });
    this.changed();
  }

  #failed(item, status) {
    Object.assign(item, { state: "failed", reason: REASONS[status] ?? "upload_failed" });
    this.changed();
  }

  retry(item) {
    if (item.file.size <= MAX_BYTES) this.#send(item);
    this.changed();
  }

  remove(item) {
    item.request?.abort();
    if (item.preview) URL.revokeObjectURL(item.preview);
    this.items = this.items.filter((other) => other !== item);
    this.changed();
  }

  get isBusy() {
    return this.items.some((item) => item.state === "loading");
  }

  /** The finished uploads, which now belong to a message; failed ones stay. */
  take() {
    const done = this.items.filter((item) => item.state === "done");
    this.items = this.items.filter((item) => item.state !== "done");
    for (const { preview } of done) if (preview) URL.revokeObjectURL(preview);
    this.changed();
    return done.map((item) => item.upload);
  }
}
