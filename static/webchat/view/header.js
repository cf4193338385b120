/* Who one talks with, and whether they are there: the head of the panel and the bar below it. */

import { avatar } from "./avatar.js";
import { byId, el } from "./dom.js";
import { dayTime, t } from "./words.js";

export class Header {
  constructor(session, config) {
    this.session = session;
    this.config = config;
    byId("handoff").addEventListener("click", () => session.handOff());
  }

  draw() {
    const { conversation, state } = this.session;
    const owner = conversation?.owner;
    const agent = owner?.kind === "agent" && !this.session.isResolved ? owner : null;
    byId("title").textContent = agent ? agent.name : this.config.name;
    this.#face(agent);
    this.#status(agent, state);
    const withBot = !this.session.isResolved && (!owner || owner.kind === "bot");
    byId("bot-bar").hidden = !withBot || !this.config.auto_reply;
    byId("handoff").disabled = this.session.wantsHandoff;
  }

  #face(agent) {
    const face = byId("face");
    const look = agent ? `${agent.name}|${agent.avatar}` : "";
    byId("logo").hidden = Boolean(agent);
    if (face.dataset.look === look) return;
    face.dataset.look = look;
    face.replaceChildren(...(agent ? [avatar(agent, 36)] : []));
  }

  #status(agent, state) {
    const line = byId("presence");
    const [tone, words] = this.#words(agent, state);
    const look = `${tone}|${words}`;
    if (line.dataset.look === look) return;
    line.dataset.look = look;
    const texts = words.flatMap((word, index) => (index ? [el("span", { class: "mid" }), word] : [word]));
    line.replaceChildren(el("span", { class: `dot ${tone}` }), ...texts);
  }

  /** Colour and words of the status line. */
  #words(agent, state) {
    const { session, config } = this;
    if (session.isResolved) return ["", [t("ended")]];
    if (state === "waiting" || state === "ended") return ["dot-r", [t("offline")]];
    if (session.inbox?.hours?.open === false) return ["", [t("closed_hours"), opening(session.inbox.hours)].filter(Boolean)];
    if (agent) return ["dot-g", [t("agent_title"), t("online")]];
    return ["dot-g", [t("online"), config.texts.reply_time ?? t("reply_time")]];
  }
}

const opening = ({ opens_at: at }) => (at ? t("opens_at", { time: dayTime(new Date(at)) }) : "");
