/* The copilot's card: asks for a suggestion, shows it growing, and puts it into the composer when told to. It sends nothing. */

import { Refused, events } from "./api.js";
import { clone, find, findAll, say, show, slot } from "./dom.js";
import { has, t } from "./format.js";
import { load, save } from "./store.js";
import { judge, showThumbs } from "./thumbs.js";
import { announce, toast } from "./toasts.js";

const FIRST_WORD_MS = 12_000; // the server promises 8 s; this is for a server that is not there
const LANGUAGE_KEY = "kefu.copilot.language";
const FOR_AGENTS = ["summarise", "extract", "title"]; // what goes into a note
const WITHOUT_DRAFT = ["suggest", ...FOR_AGENTS];

export class Copilot {
  constructor({ root, conversation, composer, onSignedOut }) {
    Object.assign(this, { conversation, composer, onSignedOut });
    this.card = find("#copilot", root);
    this.button = find("#ai", root);
    this.menu = find("#ai-menu", root);
    this.language = find("#copilot-language", root);
    this.title = this.button.title;
    this.listen();
    this.chooseLanguage(load(LANGUAGE_KEY, document.documentElement.lang === "en" ? "zh-hans" : "en"));
  }

  listen() {
    this.button.addEventListener("click", () => this.prepareMenu());
    for (const item of findAll("[data-deed]", this.menu)) {
      item.addEventListener("click", () => this.begin(item.dataset.deed));
    }
    for (const button of findAll("[data-copilot]", this.card)) {
      button.addEventListener("click", () => this.press(button));
    }
    for (const thumb of findAll("[data-thumb]", this.card)) {
      thumb.addEventListener("click", () => judge(thumb, `${this.conversation.id}/copilot/${this.suggestion}`));
    }
    this.language.addEventListener("change", () => {
      this.chooseLanguage(this.language.value);
      this.retry();
    });
  }

  press(button) {
    this[button.dataset.copilot]();
    // A button that has gone must not take the focus with it.
    if (!button.offsetParent && matchMedia("(min-width: 768px)").matches) this.composer.field.focus();
  }

  /** What rewrites a draft needs one. */
  prepareMenu() {
    const empty = !this.composer.field.value.trim();
    for (const item of findAll("[data-deed]", this.menu)) item.disabled = empty && !WITHOUT_DRAFT.includes(item.dataset.deed);
  }

  chooseLanguage(code) {
    this.language.value = code;
    if (this.language.selectedIndex < 0) this.language.value = "en";
    save(LANGUAGE_KEY, this.language.value);
    say(this.menu, "language", this.language.selectedOptions[0].textContent);
  }

  begin(deed) {
    const { mode, field } = this.composer;
    // A note is internal: no word of it goes into a reply.
    const takesDraft = !FOR_AGENTS.includes(deed) && !(deed === "suggest" && mode === "note");
    this.asked = { deed, mode, draft: takesDraft && field.value.trim() ? field.value : "" };
    if (matchMedia("(min-width: 768px)").matches) field.focus();
    this.ask();
  }

  retry() {
    if (this.asked) this.ask();
  }

  async ask() {
    this.leaveStream();
    const stream = new AbortController();
    this.stream = stream;
    this.clear();
    const impatience = setTimeout(() => this.giveUp(stream), FIRST_WORD_MS);
    try {
      for await (const [name, data] of events(`conversations/${this.conversation.id}/copilot/`, this.body(), stream.signal)) {
        if (stream !== this.stream) return;
        clearTimeout(impatience);
        if (name === "delta") this.grow(data.text);
        else this.end(data);
      }
      if (stream === this.stream) this.fail(t("network"));
    } catch (error) {
      if (stream === this.stream) this.couldNot(error);
    } finally {
      clearTimeout(impatience);
    }
  }

  body() {
    const { deed, draft } = this.asked;
    const language = deed === "translate" ? { language: this.language.value } : {};
    return { deed, stream: true, ...(draft ? { draft } : {}), ...language };
  }

  // What it looks like

  clear() {
    const { card } = this;
    say(card, "title", t(`copilot.${this.asked.deed}`));
    say(card, "adopt-word", t(FOR_AGENTS.includes(this.asked.deed) ? "copilot.adopt_note" : "copilot.adopt"));
    this.showText("");
    for (const name of ["sources", "degraded", "problem", "check", "thumbs"]) show(slot(card, name), false);
    for (const chip of findAll(".source", card)) chip.remove();
    show(this.language, this.asked.deed === "translate");
    this.keepingEnd(() => {
      this.look("busy");
      show(card, true);
    });
  }

  look(state) {
    this.card.dataset.state = state;
    this.card.setAttribute("aria-busy", state === "busy" || state === "growing");
  }

  showText(text) {
    this.text = text;
    const box = say(this.card, "text", text);
    this.card.toggleAttribute("data-text", Boolean(text));
    box.scrollTop = box.scrollHeight;
  }

  grow(text) {
    this.keepingEnd(() => {
      this.showText(text);
      this.look("growing");
    });
  }

  /** The card takes its room from the stream: who read the newest message goes on seeing it. */
  keepingEnd(change) {
    const { thread } = this.composer;
    const atEnd = thread.isAtEnd();
    change();
    if (atEnd) thread.toEnd();
  }

  end(suggestion) {
    this.stream = null;
    this.keepingEnd(() => this.showSuggestion(suggestion));
    if (suggestion.text && !suggestion.problem) announce(t("copilot.ready"));
  }

  showSuggestion({ id, text, endpoint, citations, problem, fields }) {
    this.showText(text);
    this.suggestion = id;
    show(slot(this.card, "thumbs"), id);
    showThumbs(slot(this.card, "thumbs"), null);
    this.showUnsaid(fields.filter((field) => !field.said));
    this.showSources(citations);
    show(slot(this.card, "degraded"), endpoint === "rules");
    if (problem) this.fail(t(`copilot.${problem.why}`), problem.detail);
    else if (text) this.look("done");
    else this.fail(t("copilot.empty"));
  }

  /** What the endpoint may have made up. */
  showUnsaid(fields) {
    show(slot(this.card, "check"), fields.length);
    say(this.card, "check-text", t("copilot.check", { names: fields.map((field) => field.value).join("、") }));
  }

  showSources(citations) {
    const box = slot(this.card, "sources");
    show(box, citations.length);
    for (const citation of citations) {
      const chip = clone("source");
      say(chip, "title", citation.title ?? citation.name ?? "");
      box.append(chip);
    }
  }

  fail(reason, detail = "") {
    this.stream = null;
    say(this.card, "reason", reason);
    say(this.card, "detail", detail);
    show(slot(this.card, "problem"), true);
    this.look("failed");
    announce(reason);
  }

  couldNot(error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) this.onSignedOut();
    this.fail(has(`copilot.${error.code}`) ? t(`copilot.${error.code}`) : error.reason);
  }

  giveUp(stream) {
    if (stream !== this.stream) return;
    this.leaveStream();
    this.fail(t("copilot.failed"));
  }

  setOffline(offline) {
    this.button.disabled = offline;
    this.button.title = offline ? t("copilot.offline") : this.title;
    if (offline && this.stream) {
      this.leaveStream();
      this.fail(t("network"));
    }
  }

  // What the agent does with it

  adopt() {
    if (!this.text || this.stream || this.card.hidden) return;
    const { deed, mode, draft } = this.asked;
    this.goTo(FOR_AGENTS.includes(deed) ? "note" : deed === "suggest" ? "reply" : mode);
    const { composer } = this;
    const before = composer.field.value;
    const replace = Boolean(draft) && before === draft;
    composer.insert(this.text, { replace });
    if (replace) toast(t("copilot.adopted"), { action: t("undo"), onAction: () => composer.insert(before, { replace: true }) });
    this.close();
  }

  goTo(mode) {
    if (this.composer.mode !== mode) this.composer.setMode(mode);
  }

  /** Over plain HTTP, or forbidden, there is no clipboard: then the text is selected for the agent's own hands. */
  async copy() {
    try {
      await navigator.clipboard.writeText(this.text);
      toast(t("copied"));
    } catch {
      getSelection().selectAllChildren(slot(this.card, "text"));
      toast(t("copilot.selected"));
    }
  }

  /** What has come until now stays, and may be used. */
  stop() {
    this.leaveStream();
    if (this.text) this.look("done");
    else this.close();
  }

  /** Esc; false where there was nothing to end. */
  escape() {
    if (this.card.hidden) return false;
    if (this.stream) this.stop();
    else this.close();
    return true;
  }

  leaveStream() {
    const { stream } = this;
    this.stream = null;
    stream?.abort();
  }

  close() {
    this.leaveStream();
    this.text = "";
    show(this.card, false);
  }
}
