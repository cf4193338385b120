import assert from "node:assert/strict";
import test from "node:test";
import { ADOPT_AFTER_MS, Outbox, WINDOW } from "../../../static/webchat/outbox.js";
import { Store } from "../../../static/webchat/store.js";

/** A storage area as browsers give it. */
class Area {
  values = new Map();
  get length() { return this.values.size; }
  key(index) { return [...this.values.keys()][index] ?? null; }
  getItem(key) { return this.values.get(key) ?? null; }
  setItem(key, value) { this.values.set(key, value); }
  removeItem(key) { this.values.delete(key); }
}

const texts = (entries) => entries.map((entry) => entry.text);

test("what was written survives a reload, in order, with its client ids", () => {
  const area = new Area();
  const before = new Outbox(new Store("k", area));
  for (const text of ["one", "two", "three"]) before.add({ text });
  before.take();
  const after = new Outbox(new Store("k", area));
  assert.deepEqual(texts(after.take()), ["one", "two", "three"]);
  assert.deepEqual(after.entries.map((entry) => entry.client_id), before.entries.map((entry) => entry.client_id));
});

test("an acknowledged message is gone for good", () => {
  const area = new Area();
  const outbox = new Outbox(new Store("k", area));
  const entry = outbox.add({ text: "one" });
  assert.equal(outbox.settle(entry.client_id).text, "one");
  assert.equal(outbox.settle(entry.client_id), null);
  assert.equal(area.length, 0);
});

test("after a cut everything under way is sent again, oldest first", () => {
  const outbox = new Outbox(new Store("k", new Area()));
  outbox.add({ text: "one" });
  outbox.take();
  outbox.add({ text: "two" });
  outbox.disconnected();
  assert.deepEqual(texts(outbox.take()), ["one", "two"]);
  assert.deepEqual(outbox.take(), []);
});

test("no more than a window is under way", () => {
  const outbox = new Outbox(new Store("k", new Area()));
  for (let n = 0; n < WINDOW + 3; n += 1) outbox.add({ text: String(n) });
  const batch = outbox.take();
  assert.equal(batch.length, WINDOW);
  outbox.settle(batch[0].client_id);
  assert.deepEqual(texts(outbox.take()), [String(WINDOW)]);
});

test("a refused message holds back those after it, so that order stays", () => {
  const outbox = new Outbox(new Store("k", new Area()));
  const entries = ["one", "two", "three"].map((text) => outbox.add({ text }));
  outbox.take();
  outbox.settle(entries[0].client_id);
  outbox.requeue(entries[1].client_id);
  assert.deepEqual(texts(outbox.take()), ["two", "three"]);
});

test("a failed message stays, also after a reload, until it is tried again", () => {
  const area = new Area();
  const outbox = new Outbox(new Store("k", area));
  const entry = outbox.add({ text: "too long" });
  outbox.fail(entry.client_id, "too_large");
  const reloaded = new Outbox(new Store("k", area));
  assert.deepEqual(reloaded.take(), []);
  assert.equal(reloaded.entries[0].failed, "too_large");
  reloaded.retry(entry.client_id);
  assert.deepEqual(texts(reloaded.take()), ["too long"]);
});

test("another tab's message is shown at once and sent by us only when that tab is silent", () => {
  const area = new Area();
  let now = 1_000;
  const mine = new Outbox(new Store("k", area), { now: () => now });
  new Outbox(new Store("k", area), { now: () => now }).add({ text: "theirs" });
  mine.reload();
  assert.deepEqual(texts(mine.entries), ["theirs"]);
  assert.deepEqual(mine.take(), []);
  now += ADOPT_AFTER_MS + 1;
  assert.deepEqual(texts(mine.take()), ["theirs"]);
});

test("blocked storage keeps messages in memory", () => {
  const outbox = new Outbox(new Store("k", null));
  outbox.add({ text: "one" });
  outbox.reload();
  assert.deepEqual(texts(outbox.take()), ["one"]);
});
