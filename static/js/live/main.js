// The live page: asks for the state every two seconds and shows it. Text is never HTML here.

import { showCards } from "./cards.js";
import { addToChart } from "./chart.js";
import { showDrills, tick } from "./drills.js";
import { preparedDialog } from "./dialog.js";

const EVERY_MS = 2_000;
const PATIENCE_MS = 8_000;
const root = document.getElementById("live");

function tell(state) {
  root.dataset.state = state;
}

async function read() {
  if (!navigator.onLine) return tell("offline");
  const answer = await fetch(root.dataset.url, {
    headers: { Accept: "application/json" },
    redirect: "manual", // to the log-in page
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (answer.type === "opaqueredirect" || answer.status === 403) return tell("signed-out");
  if (!answer.ok) return tell("error");
  show(await answer.json());
}

function show(state) {
  tell(state.redis ? "live" : "redis");
  root.querySelector('[data-when="empty"]').hidden = state.endpoints.length > 0;
  showCards(state.endpoints);
  showDrills(state.drills, state.now, refresh);
  if (state.redis) addToChart(state.endpoints);
}

async function refresh() {
  try {
    await read();
  } catch {
    tell(navigator.onLine ? "error" : "offline");
  }
}

async function keepReading() {
  if (!document.hidden) await refresh();
  if (root.dataset.state !== "signed-out") setTimeout(keepReading, EVERY_MS);
}

document.addEventListener("DOMContentLoaded", () => {
  addEventListener("offline", () => tell("offline"));
  preparedDialog(refresh);
  setInterval(tick, 1_000);
  keepReading();
});
