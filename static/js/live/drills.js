// Drills that run, with what is left of them, and the reports of those that are over.

import { post } from "./post.js";
import { copyOf, fill, say } from "./words.js";

let ahead = 0; // milliseconds that this machine's clock is before the server's
let shown = "";

export function showDrills(drills, now, refresh) {
  ahead = Date.now() - Date.parse(now);
  document.getElementById("no-drills").hidden = drills.length > 0;
  const latest = JSON.stringify(drills);
  if (latest === shown) return; // a button that somebody is about to press stays
  shown = latest;
  document.getElementById("drills").replaceChildren(...drills.map((one) => elementOf(one, refresh)));
  tick();
}

export function tick() {
  for (const badge of document.querySelectorAll("[data-until]")) {
    const left = Date.parse(badge.dataset.until) - (Date.now() - ahead);
    badge.textContent = say("left", { left: clock(Math.max(0, left)) });
  }
}

function clock(ms) {
  const seconds = Math.ceil(ms / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function elementOf(drill, refresh) {
  const element = copyOf("drill");
  fill(element, { title: `${drill.endpoint} · ${drill.fault}`, left: say("ended"), about: about(drill) });
  const badge = element.querySelector('[data-slot="left"]');
  const button = element.querySelector("[data-stop]");
  if (drill.ended_at) {
    button?.remove();
    element.querySelector('[data-slot="report"]').append(...drill.report.map(line));
  } else {
    badge.dataset.until = drill.ends_at;
    badge.dataset.breaker = "open";
    button?.addEventListener("click", () => stop(button, drill, refresh));
  }
  return element;
}

function about({ delay_s, share, inbox, by, started_at }) {
  const parts = [
    new Date(started_at).toLocaleString(document.documentElement.lang, { hour12: false }),
    delay_s ? `${delay_s} s` : "",
    `${Math.round(share * 100)}%`,
    inbox ?? say("everywhere"),
    by ? say("by", { who: by }) : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

function line([name, figure]) {
  const pair = document.createElement("div");
  const term = document.createElement("dt");
  const value = document.createElement("dd");
  term.textContent = name;
  value.textContent = figure;
  pair.append(term, value);
  return pair;
}

async function stop(button, drill, refresh) {
  button.disabled = true;
  const answer = await post(button.dataset.stop.replace("/0/", `/${drill.id}/`));
  if (!answer?.ok) {
    button.disabled = false;
    button.closest("article").querySelector('[data-slot="about"]').textContent = say("failed");
    return;
  }
  await refresh();
}
