/* Passing signs of life: somebody types, the bot thinks, its text grows. Each fades by itself, for the word that ends it
   may be lost. `changed()` is called after each that faded. */

const TYPING_FADES_MS = 6_000;
const THINKING_ENDS_MS = 15_000;
const GROWING_ENDS_MS = 30_000;

export class Signs {
  constructor(changed) {
    this.changed = changed;
    this.forget();
  }

  forget() {
    this.typingUntil = 0;
    this.thinkingUntil = 0;
    this.growing = new Map(); // message id -> {text, at}
  }

  typing(on) {
    this.#until("typingUntil", on ? TYPING_FADES_MS : 0);
  }

  thinking() {
    this.#until("thinkingUntil", THINKING_ENDS_MS);
  }

  /** The text so far of the answer to a message; a shorter one comes late and says nothing new. */
  grows(id, text) {
    if (text.length < (this.growing.get(id)?.text ?? "").length) return;
    this.thinkingUntil = 0;
    this.growing.set(id, { text, at: Date.now() });
    setTimeout(() => this.#forgetStaleGrowth(), GROWING_ENDS_MS + 100);
  }

  /** The answer is there: a bot's ends the growing of its own, a person's of all. */
  answered({ author, reply_to }) {
    this.typingUntil = this.thinkingUntil = 0;
    if (author.kind === "bot") this.growing.delete(reply_to);
    else this.growing.clear();
  }

  /** The bot does not have the conversation any more. */
  botLeft() {
    this.growing.clear();
    this.thinkingUntil = 0;
  }

  #forgetStaleGrowth() {
    for (const [id, { at }] of this.growing) if (Date.now() - at > GROWING_ENDS_MS) this.growing.delete(id);
    this.changed();
  }

  #until(name, milliseconds) {
    this[name] = milliseconds ? Date.now() + milliseconds : 0;
    if (milliseconds) setTimeout(() => this.changed(), milliseconds + 50);
  }
}
