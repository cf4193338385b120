// An inbox's admin page: its health and the steps of its callback, asked for every two seconds. Text is never HTML here.

const EVERY_MS = 2_000;
const PATIENCE_MS = 20_000;
const root = document.getElementById("inbox-health");
const words = JSON.parse(document.getElementById("ih-words").textContent);

function slot(name) {
  return root.querySelector(`[data-slot="${name}"]`);
}

function made(tag, text, data = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  Object.assign(element.dataset, data);
  return element;
}

function showHealth(health) {
  root.dataset.level = health.level;
  const title = slot("title");
  if (title.textContent !== health.title) title.textContent = health.title;
  slot("findings").replaceChildren(...health.findings.map(finding));
  slot("facts").replaceChildren(...health.facts.map(fact));
}

function finding({ level, text, todo }) {
  const item = made("li", "", { level });
  item.append(made("strong", text));
  if (todo) item.append(made("span", todo));
  return item;
}

function fact({ name, value }) {
  const row = document.createElement("div");
  row.append(made("dt", name), made("dd", value));
  return row;
}

function showSteps(steps) {
  for (const { step, state, at, reason, todo } of steps) {
    const item = slot("steps").querySelector(`[data-step="${step}"]`);
    const said = reason ? `${reason} → ${todo}` : "";
    if (item.dataset.state === state && item.dataset.at === at) continue;
    Object.assign(item.dataset, { state, at });
    item.querySelector("time").textContent = at;
    item.querySelector("span")?.remove();
    if (said) item.append(made("span", said));
  }
}

async function asked(url, options = {}) {
  const answer = await fetch(url, {
    ...options,
    headers: { Accept: "application/json", ...options.headers },
    redirect: "manual", // to the log-in page
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (answer.type === "opaqueredirect" || answer.status === 403) throw new Error(words.signed_out);
  if (!answer.ok) throw new Error(words.failed);
  return answer.json();
}

async function keepReading() {
  try {
    if (!document.hidden) {
      const state = await asked(root.dataset.url);
      showHealth(state.health);
      if (slot("steps")) showSteps(state.steps);
    }
  } catch (error) {
    if (error.message === words.signed_out) return tell(words.signed_out);
  }
  setTimeout(keepReading, EVERY_MS);
}

function tell(text, verdict = "") {
  const said = slot("said");
  said.hidden = false;
  said.dataset.verdict = verdict;
  said.textContent = text;
}

async function check(button) {
  button.disabled = true;
  tell(words.checking);
  try {
    const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
    const { verdict, text, todo } = await asked(root.dataset.check, {
      method: "POST",
      headers: { "X-CSRFToken": token },
    });
    tell(todo ? `${text} → ${todo}` : text, verdict);
  } catch (error) {
    tell(error.message === words.signed_out ? error.message : words.failed);
  }
  button.disabled = false;
}

async function copy(button) {
  await navigator.clipboard.writeText(slot(button.dataset.copy).textContent);
  button.textContent = words.copied;
}

root.querySelector('[data-act="check"]')?.addEventListener("click", (click) => check(click.currentTarget));
for (const button of root.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copy(button));
}
setTimeout(keepReading, EVERY_MS);
