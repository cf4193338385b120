/* Small values kept in the browser: token, outbox, draft. Where storage is blocked (private mode, partitioned frames)
   they live in memory for the visit, and `persistent` says so. Values are JSON; keys carry the inbox, so two inboxes
   of one host never meet. */

class MemoryArea {
  #values = new Map();
  get length() { return this.#values.size; }
  key(index) { return [...this.#values.keys()][index] ?? null; }
  getItem(key) { return this.#values.get(key) ?? null; }
  setItem(key, value) { this.#values.set(key, String(value)); }
  removeItem(key) { this.#values.delete(key); }
}

/** The browser's localStorage if it really stores, else null. Reading the property alone may throw. */
function usableLocalStorage() {
  try {
    const area = globalThis.localStorage;
    area.setItem("kefu.probe", "1");
    area.removeItem("kefu.probe");
    return area;
  } catch {
    return null;
  }
}

export class Store {
  constructor(inboxKey, area = usableLocalStorage()) {
    this.persistent = Boolean(area);
    this.prefix = `kefu:${inboxKey}:`;
    this.area = area ?? new MemoryArea();
  }

  get(name) {
    const raw = this.area.getItem(this.prefix + name);
    if (raw === null) return null;
    try {
      return JSON.parse(raw);
    } catch {
      return null; // Written by something else: as good as nothing.
    }
  }

  /** False where the quota is full; the caller's own memory then has to do. */
  set(name, value) {
    try {
      this.area.setItem(this.prefix + name, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }

  remove(name) {
    this.area.removeItem(this.prefix + name);
  }

  /** Names that start with `start`, sorted. */
  names(start) {
    const full = this.prefix + start;
    const found = [];
    for (let index = 0; index < this.area.length; index += 1) {
      const key = this.area.key(index);
      if (key.startsWith(full)) found.push(key.slice(this.prefix.length));
    }
    return found.sort();
  }
}
