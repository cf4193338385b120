/* The bridge to the host page, when the chat lives in the widget's frame. The host's origin is learnt from its first word,
   which must come from the page that frames us and, where the inbox names its sites, from one of those. Nothing that could
   hurt is said before: our first word is only "here". */

export class Host {
  /** `on` maps a word to what to do with its value. */
  constructor(allowedOrigins, on) {
    this.framed = window.parent !== window;
    this.origin = null;
    if (!this.framed) return;
    window.addEventListener("message", (event) => this.#heard(event, allowedOrigins, on));
    window.parent.postMessage({ kefu: "here" }, "*");
  }

  #heard(event, allowedOrigins, on) {
    if (event.source !== window.parent || typeof event.data?.kefu !== "string") return;
    if (allowedOrigins.length && !allowedOrigins.includes(event.origin)) return;
    if (this.origin === null && event.data.kefu === "init") this.origin = event.origin;
    if (event.origin !== this.origin) return;
    on[event.data.kefu]?.(event.data.value);
  }

  say(word, value = null) {
    if (this.origin !== null) window.parent.postMessage({ kefu: word, value }, this.origin);
  }
}
