/* Who the contact is: why addresses were joined, who else it may be, joining by hand, and undoing it. */

import { call } from "./api.js";
import { clone, find, say, show, slot } from "./dom.js";
import { has, t, when } from "./format.js";
import { toast } from "./toasts.js";

const SEARCH_MS = 250;
const FOUND = 8;

export class Person {
  /** onChange() after contacts became one or two: the page reads itself anew. */
  constructor({ root, contact, onChange }) {
    Object.assign(this, { contact, onChange, section: find("#person", root) });
    slot(this.section, "retry").addEventListener("click", () => this.load());
    slot(this.section, "merge").addEventListener("click", () => this.mergeByHand());
    this.load();
  }

  async load() {
    const path = `contacts/${this.contact.id}`;
    this.setState("loading");
    try {
      const [links, suggestions] = await Promise.all([call("GET", `${path}/links/`), call("GET", `${path}/suggestions/`)]);
      slot(this.section, "links").replaceChildren(...links.results.map((link) => this.linkElement(link)));
      slot(this.section, "suggestions").replaceChildren(...suggestions.results.map((link) => this.suggestionElement(link)));
      this.setState("ready");
    } catch (error) {
      say(this.section, "reason", error.reason ?? error.message);
      this.setState("failed");
    }
  }

  setState(state) {
    for (const part of this.section.querySelectorAll("[data-person-state]")) show(part, part.dataset.personState === state);
  }

  linkElement(link) {
    const element = clone("link");
    say(element, "evidence", evidenceWords(link));
    say(element, "who", `${link.secondary.name} → ${link.primary.name}`);
    say(element, "source", [link.actor ? t("joined_by", { name: link.actor }) : link.source, when(link.created_at)].filter(Boolean).join(" · "));
    slot(element, "undo").addEventListener("click", (event) => this.act(event.target, `links/${link.id}/undo/`, {}, t("merge_undone")));
    return element;
  }

  suggestionElement(link) {
    const other = this.otherOf(link);
    const element = clone("suggestion");
    say(element, "who", t("maybe_same", { name: other.name }));
    say(element, "evidence", t("same_unproven", { what: evidenceWords(link) }));
    slot(element, "merge").addEventListener("click", () => this.mergeWith(other));
    slot(element, "decline").addEventListener("click", (event) => this.act(event.target, `suggestions/${link.id}/decline/`, {}, t("not_same_noted"), () => this.load()));
    return element;
  }

  otherOf({ primary, secondary }) {
    return primary.id === this.contact.id ? secondary : primary;
  }

  async act(button, path, body, done, then = this.onChange) {
    button.disabled = true;
    try {
      const answer = await call("POST", `contacts/${this.contact.id}/${path}`, body);
      toast(done, this.undoOf(answer));
    } catch (error) {
      button.disabled = false;
      toast(t("failed_action", { reason: error.reason ?? error.message }));
      return;
    }
    await then();
  }

  /** A merge tells its link: the notice undoes it. */
  undoOf(answer) {
    const link = answer?.links?.[0];
    const undo = () => this.act({}, `links/${link}/undo/`, {}, t("merge_undone"));
    return link ? { action: t("undo"), onAction: undo } : {};
  }

  mergeWith(other) {
    this.openDialog();
    this.showPicked(other);
  }

  mergeByHand() {
    this.openDialog();
    const search = find("#merge-search");
    search.value = "";
    find("#merge-found").replaceChildren();
    find("#merge-empty").hidden = true;
    search.oninput = () => { clearTimeout(this.searching); this.searching = setTimeout(() => this.search(search.value.trim()), SEARCH_MS); };
    search.focus();
  }

  openDialog() {
    const dialog = find("#merge-dialog");
    dialog.dataset.step = "search";
    find("#merge-ok").disabled = true;
    find("#merge-form").onsubmit = (event) => { event.preventDefault(); this.merge(dialog); };
    dialog.showModal();
  }

  async search(words) {
    const box = find("#merge-found");
    if (!words) return box.replaceChildren();
    let found;
    try {
      found = await call("GET", `contacts/?q=${encodeURIComponent(words)}&limit=${FOUND}`);
    } catch (error) {
      return toast(t("failed_action", { reason: error.reason ?? error.message }));
    }
    const others = found.results.filter((one) => one.id !== this.contact.id);
    find("#merge-empty").hidden = others.length > 0;
    return box.replaceChildren(...others.map((other) => this.foundElement(other)));
  }

  foundElement(other) {
    const element = clone("found");
    say(element, "name", nameOf(other));
    say(element, "facts", [other.phone, other.email].filter(Boolean).join(" · "));
    element.addEventListener("click", () => this.showPicked({ id: other.id, name: nameOf(other) }));
    return element;
  }

  /** Which of the two is kept, before anything is done. */
  showPicked(other) {
    this.picked = other;
    const dialog = find("#merge-dialog");
    dialog.dataset.step = "preview";
    find("#merge-kept").textContent = nameOf(this.contact);
    find("#merge-joins").textContent = nameOf(other);
    const ok = find("#merge-ok");
    ok.disabled = false;
    ok.focus();
  }

  async merge(dialog) {
    dialog.close();
    await this.act(find("#merge-ok"), "merge/", { contact: this.picked.id }, t("merged", { name: nameOf(this.picked) }));
  }
}

const nameOf = ({ name, id }) => name || t("visitor_code", { code: id.slice(-4).toUpperCase() });

function evidenceWords({ evidence, value }) {
  const words = has(`evidence.${evidence}`) ? t(`evidence.${evidence}`) : evidence;
  return value ? `${words} ${value}` : words;
}
