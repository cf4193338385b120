/* localStorage that never throws: where storage is blocked or full, things are kept for the visit. */

const memory = new Map();

export function load(key, fallback = null) {
  try {
    const text = localStorage.getItem(key);
    return text === null ? (memory.get(key) ?? fallback) : JSON.parse(text);
  } catch {
    return memory.get(key) ?? fallback;
  }
}

export function save(key, value) {
  memory.set(key, value);
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Kept in memory above.
  }
}

export function remove(key) {
  memory.delete(key);
  try {
    localStorage.removeItem(key);
  } catch {
    // Nothing was stored then.
  }
}

/** What is stored under keys that begin so. */
export function loadAll(prefix) {
  let keys = [];
  try {
    keys = Object.keys(localStorage);
  } catch {
    // Only what this page remembers.
  }
  const all = new Set([...keys, ...memory.keys()]);
  return [...all].filter((key) => key.startsWith(prefix)).map((key) => load(key));
}
