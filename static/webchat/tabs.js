/* A word to the visitor's other tabs of this inbox: "token", "outbox", "read", "reset". Values travel through the store;
   the word only says that something changed. BroadcastChannel where there is one, storage events elsewhere. */

export class Tabs {
  constructor(store, onWord) {
    this.store = store;
    this.channel = openChannel(store.prefix);
    if (this.channel) this.channel.onmessage = (event) => onWord(event.data);
    else globalThis.addEventListener?.("storage", (event) => this.#heard(event, onWord));
  }

  #heard(event, onWord) {
    if (event.key === `${this.store.prefix}word` && event.newValue) onWord(JSON.parse(event.newValue).word);
  }

  say(word) {
    if (this.channel) this.channel.postMessage(word);
    else if (this.store.persistent) this.store.set("word", { word, at: Date.now(), by: Math.random() });
  }

  close() {
    this.channel?.close();
  }
}

function openChannel(name) {
  try {
    return new BroadcastChannel(name);
  } catch {
    return null; // Not there, or not allowed in this frame.
  }
}
