import assert from "node:assert/strict";
import test from "node:test";
import { Outbox } from "../../../static/agents/outbox.js";

/** The console socket as the outbox sees it. */
class Wire {
  isReady = true;
  sent = [];
  listeners = {};
  on(type, listener) { this.listeners[type] = listener; }
  tell(type, frame) { this.listeners[type](frame); }
  send(frame) { if (this.isReady) this.sent.push(frame); return this.isReady; }
  cut() { this.isReady = false; this.tell("state", { state: "offline" }); }
  mend() { this.isReady = true; this.tell("state", { state: "live" }); }
}

let people = 0;

function begin() {
  const wire = new Wire();
  const username = `person-${people += 1}`;
  return { wire, username, outbox: new Outbox({ socket: wire, username }) };
}

function write(outbox, text, values = {}) {
  return outbox.add({ conversation: "c", text, note: false, attachments: [], base: 5, author: { name: "小芳" }, ...values });
}

const texts = (wire) => wire.sent.map((frame) => frame.text);
const incoming = (seq) => ({ seq, kind: "incoming", author: { kind: "contact", name: "林" } });

test("one message of a conversation is under way at a time, and each knows what came before it", () => {
  const { wire, outbox } = begin();
  const first = write(outbox, "one");
  write(outbox, "two");
  assert.deepEqual(texts(wire), ["one"]);
  wire.tell("ack", { client_id: first.client_id, seq: 7 });
  assert.deepEqual(texts(wire), ["one", "two"]);
  assert.equal(wire.sent[1].if_last_seq, 7);
});

test("what was under way at a cut is sent again with its client_id", () => {
  const { wire, outbox } = begin();
  const item = write(outbox, "one");
  wire.cut();
  assert.equal(item.state, "outbox");
  wire.mend();
  assert.deepEqual(wire.sent.map((frame) => frame.client_id), [item.client_id, item.client_id]);
});

test("what was written offline survives a reload, in order", () => {
  const { wire, username, outbox } = begin();
  wire.cut();
  write(outbox, "one").created_at = "2026-01-01T00:00:00Z";
  outbox.changed(outbox.items[0]);
  write(outbox, "two");
  const after = new Outbox({ socket: wire, username });
  assert.deepEqual(after.items.map((item) => item.text), ["one", "two"]);
});

test("a message waits for its writer where the contact wrote meanwhile", () => {
  const { wire, outbox } = begin();
  const item = write(outbox, "one");
  wire.tell("error", { client_id: item.client_id, code: "moved_on", last_seq: 6, messages: [incoming(6)] });
  assert.equal(item.state, "held");
  assert.deepEqual(texts(wire), ["one"]);
  outbox.retry(item.client_id);
  assert.equal(wire.sent[1].if_last_seq, 6);
});

test("a message goes out by itself where only the house wrote meanwhile", () => {
  const { wire, outbox } = begin();
  const item = write(outbox, "one");
  const activity = { seq: 6, kind: "activity", author: { kind: "system", name: "系统" } };
  wire.tell("error", { client_id: item.client_id, code: "moved_on", last_seq: 6, messages: [activity] });
  assert.deepEqual(wire.sent.map((frame) => frame.if_last_seq), [5, 6]);
});

test("a busy server is asked again, a refusal is shown", () => {
  const { wire, outbox } = begin();
  const item = write(outbox, "one");
  wire.tell("error", { client_id: item.client_id, code: "unavailable" });
  assert.equal(item.state, "sending");
  wire.tell("error", { client_id: item.client_id, code: "window_closed", detail: "" });
  assert.equal(item.state, "failed");
});

test("a refused message does not hold up the next one", () => {
  const { wire, outbox } = begin();
  const item = write(outbox, "one");
  write(outbox, "two");
  wire.tell("error", { client_id: item.client_id, code: "too_large", detail: "" });
  assert.deepEqual(texts(wire), ["one", "two"]);
});
