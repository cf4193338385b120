/* The rating after a conversation: five faces, solved or not, reasons, and a word. Asked once for each conversation,
   changed as often as one likes. */

import { avatar } from "./avatar.js";
import { byId, el, icon } from "./dom.js";
import { t } from "./words.js";

const FACES = ["angry", "frown", "meh", "smile", "laugh"];
const GOOD = 4; // from this score on, the good reasons are offered
const LONGEST = 500;

export class Rating {
  constructor(session) {
    this.session = session;
    this.box = byId("rating");
    this.dismissed = session.store.get("rating");
    this.drawnFor = null;
    byId("rate-again").addEventListener("click", () => this.open());
    byId("rate-later").addEventListener("click", () => this.dismiss());
  }

  get conversation() {
    return this.session.isResolved ? this.session.conversation.id : null;
  }

  get isDue() {
    return this.conversation !== null && this.dismissed !== this.conversation;
  }

  open() {
    this.dismissed = null;
    this.session.changed();
  }

  dismiss() {
    this.dismissed = this.conversation;
    this.session.store.set("rating", this.dismissed);
    this.session.changed();
  }

  /** Shows, hides, or says thanks. */
  draw() {
    const { session } = this;
    byId("rating-screen").hidden = !this.isDue;
    byId("ended").hidden = this.conversation === null || this.isDue;
    byId("rate-again").textContent = t(session.rated ? "rate_change" : "rate_now");
    if (!this.isDue) return;
    const look = `${this.conversation}`;
    if (this.drawnFor === look) return;
    this.drawnFor = look;
    this.choice = { score: 0, solved: null, tags: new Set() };
    this.box.replaceChildren(...this.#form());
  }

  #form() {
    const agent = this.#lastAgent();
    this.faces = el("div", { class: "faces", role: "radiogroup", "aria-label": t("rate_title") }, FACES.map(this.#face));
    this.solved = el("div", { class: "solved" }, [this.#solvedButton(true), this.#solvedButton(false)]);
    this.reasons = el("div", { class: "reasons" });
    this.comment = el("textarea", {
      class: "textarea", rows: 3, maxlength: LONGEST, placeholder: t("rate_comment"), "aria-label": t("rate_comment"),
    });
    this.submit = el("button", { type: "button", class: "btn btn-fill btn-lg", disabled: true, onclick: () => this.#send() },
      t("rate_submit"));
    return [
      agent ? avatar(agent, 44) : el("span", { class: "logo-mark" }, byId("logo").textContent),
      el("h2", {}, agent ? t("rate_agent", { name: agent.name }) : t("rate_title")),
      this.faces, this.solved, this.reasons, this.comment, this.submit,
      el("p", { class: "meta" }, t("rate_note")),
    ];
  }

  #lastAgent() {
    return this.session.log.messages.findLast((row) => row.author.kind === "agent")?.author ?? null;
  }

  #face = (name, index) =>
    el("button", {
      type: "button", role: "radio", "aria-checked": "false", class: "face",
      onclick: () => this.#choose(index + 1),
    }, icon(name, 24), el("span", {}, t(`face_${index + 1}`)));

  #choose(score) {
    this.choice.score = score;
    this.choice.tags.clear();
    [...this.faces.children].forEach((face, index) => face.setAttribute("aria-checked", String(index + 1 === score)));
    const words = t(score >= GOOD ? "reasons_good" : "reasons_bad").split("|");
    this.reasons.replaceChildren(...words.map((word) => this.#toggle(word)));
    this.submit.disabled = false;
  }

  #toggle(word) {
    const flip = ({ currentTarget }) => {
      const on = currentTarget.getAttribute("aria-pressed") !== "true";
      currentTarget.setAttribute("aria-pressed", String(on));
      this.choice.tags[on ? "add" : "delete"](word);
    };
    return el("button", { type: "button", class: "pill", "aria-pressed": "false", onclick: flip }, word);
  }

  #solvedButton(value) {
    const choose = () => {
      this.choice.solved = value;
      for (const button of this.solved.children) {
        button.setAttribute("aria-pressed", String(button.dataset.value === String(value)));
      }
    };
    const mark = value ? icon("check", 14) : null;
    return el("button", {
      type: "button", class: "btn btn-outline", "data-value": value ? "true" : "false", "aria-pressed": "false", onclick: choose,
    }, mark, t(value ? "solved" : "unsolved"));
  }

  #send() {
    const { score, solved, tags } = this.choice;
    const rating = { score, tags: [...tags], comment: this.comment.value.trim() };
    if (solved !== null) rating.solved = solved;
    if (this.session.rate(rating)) this.dismiss();
  }
}
