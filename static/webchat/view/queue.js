/* The visitor's place in the queue, as figures: how many stand before, and for how long. */

import { el, icon } from "./dom.js";
import { t } from "./words.js";

const SHOWN = 4; // little people drawn at most

function line(ahead) {
  const people = Array.from({ length: Math.min(ahead, SHOWN) }, () => el("span", { class: "q-one" }, icon("user", 14)));
  const middle = people.length ? [...people, el("i", { class: "q-bar" })] : [];
  return el("div", { class: "q-line", "aria-hidden": "true" },
    el("span", { class: "q-head" }, icon("headset", 16)), el("i", { class: "q-bar" }), middle,
    el("span", { class: "q-you" }, t("you")));
}

function estimate(seconds) {
  if (seconds === null || seconds === undefined) return t("queue_stay");
  return t("queue_eta", { minutes: Math.max(1, Math.round(seconds / 60)) });
}

/** An item of the stream for {ahead, eta_s}. */
export function queueCard({ ahead, eta_s: eta }) {
  return {
    key: "queue", look: `${ahead}|${eta}`,
    make: () => el("div", { class: "queue", role: "status" }, line(ahead),
      el("strong", {}, ahead > 0 ? t("queue_ahead", { n: ahead }) : t("queue_next")),
      el("span", { class: "meta" }, estimate(eta))),
  };
}
