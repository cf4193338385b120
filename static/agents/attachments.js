/* Files of a message to be: checked before upload, each with progress, cancel and retry. */

import { upload } from "./api.js";
import { find, findAll, linkButton, show } from "./dom.js";
import { t } from "./format.js";
import { toast } from "./toasts.js";

const LARGEST = 20 * 1024 * 1024;
const MOST = 10;

export class Attachments {
  constructor(root, onChange) {
    this.list = find("#composer-files", root);
    this.onChange = onChange;
    this.entries = [];
    for (const [button, input] of [["#attach", "#file-input"], ["#attach-picture", "#picture-input"]]) {
      find(button, root).addEventListener("click", () => find(input, root).click());
      find(input, root).addEventListener("change", (event) => { this.add(event.target.files); event.target.value = ""; });
    }
    this.acceptDrops(root);
    find("#composer-text", root).addEventListener("paste", (event) => this.paste(event));
  }

  acceptDrops(root) {
    root.addEventListener("dragover", (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      root.classList.add("is-dragging");
    });
    root.addEventListener("dragleave", (event) => root.contains(event.relatedTarget) || root.classList.remove("is-dragging"));
    root.addEventListener("drop", (event) => {
      root.classList.remove("is-dragging");
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      this.add(event.dataTransfer.files);
    });
  }

  paste(event) {
    const files = event.clipboardData.files;
    if (!files.length) return;
    event.preventDefault();
    this.add(files);
  }

  add(files) {
    for (const file of files) {
      const reason = this.refusal(file);
      if (reason) toast(t("upload_failed", { name: file.name, reason }));
      else this.start({ file });
    }
  }

  refusal(file) {
    if (this.entries.length >= MOST) return t("upload_count");
    return file.size > LARGEST ? t("upload_size") : null;
  }

  start(entry) {
    entry.item?.remove();
    this.entries = [...this.entries.filter((one) => one !== entry), entry];
    entry.item = this.itemFor(entry);
    this.list.append(entry.item);
    const bar = find("progress", entry.item);
    entry.task = upload(entry.file, (share) => { bar.value = share; });
    entry.task.done.then((payload) => this.finished(entry, payload), (error) => this.failed(entry, error));
    this.changed();
  }

  itemFor(entry) {
    const item = document.createElement("li");
    item.className = "upload";
    const name = document.createElement("span");
    name.className = "ellipsis";
    name.textContent = entry.file.name;
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.value = 0;
    item.append(name, bar, linkButton(t("remove"), () => this.drop(entry)));
    return item;
  }

  finished(entry, payload) {
    entry.payload = payload;
    find("progress", entry.item).remove();
    this.changed();
  }

  failed(entry, error) {
    if (!this.entries.includes(entry)) return;
    entry.item.classList.add("is-failed");
    find("progress", entry.item)?.remove();
    toast(t("upload_failed", { name: entry.file.name, reason: error.reason }));
    entry.item.append(linkButton(t("retry"), () => this.start(entry)));
    this.changed();
  }

  drop(entry) {
    this.entries = this.entries.filter((one) => one !== entry);
    entry.task.abort();
    entry.item.remove();
    this.changed();
  }

  changed() {
    show(this.list, this.entries.length);
    this.onChange();
  }

  get isBusy() {
    return this.entries.some((entry) => !entry.payload && !entry.item.classList.contains("is-failed"));
  }

  /** Files that are uploaded already, of a message that did not go. */
  putBack(payloads) {
    for (const payload of payloads) {
      const entry = { file: { name: payload.name }, payload, task: { abort() {} } };
      entry.item = this.itemFor(entry);
      find("progress", entry.item).remove();
      this.entries.push(entry);
      this.list.append(entry.item);
    }
    this.changed();
  }

  /** The payloads of what is uploaded; the list is empty afterwards. */
  take() {
    const payloads = this.entries.filter((entry) => entry.payload).map((entry) => entry.payload);
    findAll(".upload", this.list).forEach((item) => item.remove());
    this.entries = [];
    this.changed();
    return payloads;
  }

  get isEmpty() {
    return !this.entries.some((entry) => entry.payload);
  }
}
