/* The console: makes the parts and ties them together. */

import { Actions } from "./actions.js";
import { Dot } from "./dot.js";
import { find, readJSON, show } from "./dom.js";
import { setOwner } from "./drafts.js";
import { listen, openMenuOf } from "./keyboard.js";
import { List } from "./list.js";
import { Outbox } from "./outbox.js";
import { Pane } from "./pane.js";
import { ConsoleSocket } from "./socket.js";
import { Status } from "./status.js";

const me = readJSON("agent");
setOwner(me.username);

const socket = new ConsoleSocket();
const outbox = new Outbox({ socket, username: me.username });
const query = new URLSearchParams(location.search);
query.set("bucket", document.body.dataset.bucket);
["before", "m", "selected"].forEach((name) => query.delete(name));
const list = new List({ pane: find("#list-pane"), username: me.username, teams: me.teams, query });
const actions = new Actions({ username: me.username, onChange: (conversation) => changed(conversation) });
const pane = new Pane({ root: find("#pane"), socket, outbox, actions, list, me, onState: (state, detail) => setState(state, detail) });
const dot = new Dot({ socket, outbox, check: () => pane.check() });
const status = new Status({ socket, status: me.status });

function setState(state, detail) {
  if (state === "filling") dot.set("filling", detail);
  if (state === "signedout") signIn();
}

/** An answer of REST has no preview and no buckets; the frame that follows it has. */
function changed(conversation) {
  pane.update(conversation);
  if (conversation.preview) list.update(conversation);
}

function signIn() {
  find("#sign-in-link").href = `/login/?next=${encodeURIComponent(location.pathname + location.search)}`;
  const dialog = find("#sign-in-dialog");
  if (!dialog.open) dialog.showModal();
}

// Frames

const ofOpen = (frame) => pane.conversation && frame.conversation === pane.conversation.id;

socket.on("ready", ({ agent }) => {
  status.show(agent.status);
  list.teams = agent.teams;
});
socket.on("state", ({ state, again, wasReady }) => {
  const offline = state === "offline";
  if (state === "connecting") return;
  status.setOffline(offline);
  pane.setOffline(offline);
  if (offline && wasReady) list.setOffline(true);
  if (state === "live") {
    list.setOffline(false);
    pane.again();
    if (again) catchUp();
  }
});
socket.on("signedout", signIn);
socket.on("conversation", ({ conversation }) => {
  noteUnread(conversation.id, conversation.assignee === me.username && conversation.status !== "resolved" && conversation.unread > 0);
  list.update(conversation);
  pane.update(conversation);
});
socket.on("removed", ({ conversation }) => {
  noteUnread(conversation, false);
  list.remove(conversation);
  if (pane.conversation?.id === conversation) pane.lost();
});
socket.on("error", (frame) => {
  if (frame.code === "not_found" && !frame.client_id && ofOpen(frame)) pane.lost();
});
socket.on("counts", ({ counts }) => list.setCounts(counts));
socket.on("message", (frame) => ofOpen(frame) && pane.receive([frame.message]));
socket.on("messages", (frame) => {
  if (!ofOpen(frame)) return;
  pane.receive(frame.messages);
  if (frame.more) pane.thread.subscribe();
  else dot.set("live");
});
socket.on("delta", (frame) => ofOpen(frame) && pane.tail.grow(frame));
socket.on("read", (frame) => ofOpen(frame) && pane.thread.markRead(frame.seq));
socket.on("typing", (frame) => {
  list.setTyping(frame.conversation, frame.on !== false);
  if (ofOpen(frame)) pane.tail.showTyping(frame.on !== false);
});

/** After an interruption the list is asked for anew: what changed meanwhile told nobody. */
async function catchUp() {
  dot.set("filling", list.rows.length);
  try {
    await list.reload();
  } catch {
    // The next frame or reconnect brings it up to date.
  }
  dot.set(socket.isReady ? "live" : "offline");
}

const unreadOfMine = new Set();

/** A console is told of every live conversation when it opens, so the set becomes complete by itself. */
function noteUnread(id, isUnread) {
  if (isUnread) unreadOfMine.add(id);
  else unreadOfMine.delete(id);
  showUnread(unreadOfMine.size);
}

function showUnread(count) {
  for (const badge of [find("#rail-unread"), find("#back-unread")]) {
    if (!badge) continue;
    badge.textContent = count > 99 ? "99+" : count;
    show(badge, count > 0);
  }
}

// Links and history: pages have addresses, switching loads no page

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const doing = event.target.closest("[data-row-action]");
  const row = event.target.closest(".row-item");
  const tab = event.target.closest("#buckets .tab, #list-filters a");
  if (doing) return rowAction(doing.dataset.rowAction, row);
  if (row) {
    event.preventDefault();
    pane.open(row.dataset.number);
  } else if (tab) {
    event.preventDefault();
    showList(new URL(tab.href).searchParams);
  } else if (event.target.closest("#claim-next")) {
    claimNext();
  }
  return undefined;
});

function rowAction(action, row) {
  const conversation = { id: row.dataset.id, contact: { name: row.dataset.name }, status: row.dataset.status };
  if (action === "take-over") actions.takeOver(conversation);
  else actions.resolve(conversation);
}

function showList(params) {
  history.pushState(history.state, "", `${location.pathname}?${params}`);
  list.show(params);
}

find("#only-unread").addEventListener("click", () => filterBy("unread", list.query.get("unread") === "1" ? "" : "1"));
find("#list-sort").addEventListener("change", (event) => filterBy("sort", event.target.value));

async function filterBy(name, value) {
  await list.filter(name, value);
  history.replaceState(history.state, "", `${location.pathname}?${list.query}`);
}

function showBucket(bucket) {
  showList(new URLSearchParams({ bucket }));
}

addEventListener("popstate", () => {
  const number = location.pathname.match(/^\/console\/c\/(\d+)/)?.[1];
  const params = new URLSearchParams(location.search);
  if (params.get("bucket") && params.toString() !== list.query.toString()) list.show(params);
  if (number) pane.open(number, { push: false });
  else pane.closeToList({ push: false });
});

async function claimNext() {
  if (list.bucket !== "unassigned") await list.show(new URLSearchParams({ bucket: "unassigned" }));
  const row = list.rows[0];
  if (!row) return;
  rowAction("take-over", row);
  pane.open(row.dataset.number);
}

// Keys

function go(step, fits) {
  const row = list.neighbour(step, fits);
  if (row) pane.open(row.dataset.number);
  return row;
}

listen({
  next: () => go(1),
  previous: () => go(-1),
  nextUnread: () => go(1, (row) => Number(row.dataset.unread) > 0),
  mine: () => showBucket("mine"),
  unassigned: () => showBucket("unassigned"),
  team: () => showBucket("team"),
  all: () => showBucket("all"),
  reply: () => pane.composer?.setMode("reply"),
  note: () => pane.composer?.setMode("note"),
  resolve: () => pane.act("resolve"),
  resolveAndNext: async () => { const next = list.neighbour(1); if (await pane.act("resolve") && next) pane.open(next.dataset.number); },
  reopen: () => pane.act("reopen"),
  snooze: () => openMenuOf("[data-menu=snooze-menu]"),
  claim: () => (pane.conversation ? pane.act("claim") : claimNext()),
  transfer: () => pane.act("transfer"),
  bot: () => pane.act(pane.conversation?.assignee ? "return-to-bot" : "take-over"),
  context: () => pane.toggleContext(),
  status: () => status.toggle(),
  attach: () => find("#attach")?.click(),
  help: () => find("#keys-dialog").showModal(),
  adopt: () => pane.copilot?.adopt(),
  escape: () => pane.copilot?.escape() || document.body.classList.remove("show-context"),
});

list.markDrafts();
socket.connect();
