/* The row of suggestions over the composer: the buttons of the newest answer, or the inbox's quick questions before the
   visitor has said anything. They go once one is chosen or something else is said. */

import { byId, el, reconcile } from "./dom.js";

const MOST = 6;

export class Chips {
  constructor(session, questions) {
    this.session = session;
    this.questions = questions;
  }

  #words() {
    const { session } = this;
    const last = session.log.messages.at(-1);
    if (!session.outbox.isEmpty || session.isResolved) return [];
    if (last) return last.kind === "outgoing" ? last.buttons ?? [] : [];
    return this.questions;
  }

  draw() {
    const words = this.#words().slice(0, MOST);
    const row = byId("chips");
    row.hidden = !words.length;
    reconcile(row, words.map((word) => ({ key: word, look: word, make: () => this.#chip(word) })));
  }

  #chip(word) {
    return el("button", { type: "button", class: "pill", onclick: () => this.session.post({ text: word }) }, word);
  }
}
