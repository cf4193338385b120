import assert from "node:assert/strict";
import test from "node:test";
import { Log } from "../../../static/webchat/log.js";

const row = (seq, more = {}) => ({ id: `m${seq}`, seq, ...more });
const seqs = (log) => log.messages.map((message) => message.seq);

test("messages in any order come out by number", () => {
  const log = new Log();
  log.begin("c");
  log.accept([row(2), row(1)]);
  log.accept([row(3)]);
  assert.deepEqual(seqs(log), [1, 2, 3]);
  assert.equal(log.gap, null);
});

test("a missing number is a gap, and what lies beyond it waits", () => {
  const log = new Log();
  log.begin("c");
  log.accept([row(1), row(4)]);
  assert.equal(log.gap, 1);
  assert.deepEqual(seqs(log), [1]);
  log.accept([row(3)], [2]);
  assert.equal(log.gap, null);
  assert.deepEqual(seqs(log), [1, 3, 4]);
});

test("skipped numbers leave no gap", () => {
  const log = new Log();
  log.begin("c");
  log.accept([row(1), row(4)], [2, 3]);
  assert.deepEqual([log.high, log.gap], [4, null]);
});

test("the same message twice is one, and the later word counts", () => {
  const log = new Log();
  log.begin("c");
  log.accept([row(1, { status: "sent", text: "hi" })]);
  log.accept([row(1, { status: "read" })]);
  assert.deepEqual(log.messages, [row(1, { status: "read", text: "hi" })]);
});

test("a long log starts at its end and grows backwards", () => {
  const log = new Log();
  log.begin("c");
  log.startAt(100);
  log.accept([row(99), row(100)], [98]);
  assert.deepEqual([log.low, log.hasOlder, log.gap], [97, true, null]);
  log.accept([row(97), row(96)]);
  log.reachedStart();
  assert.deepEqual(seqs(log), [96, 97, 99, 100]);
  assert.equal(log.hasOlder, false);
});

test("another conversation goes on below the first, and an old message may still change", () => {
  const log = new Log();
  log.begin("a");
  log.accept([row(1, { conversation: "a" })]);
  log.begin("b");
  log.accept([row(1, { id: "n1", conversation: "b" })]);
  assert.deepEqual(log.messages.map((message) => message.id), ["m1", "n1"]);
  assert.equal(log.amend({ id: "m1", status: "read" }), true);
  assert.equal(log.messages[0].status, "read");
  assert.equal(log.amend({ id: "n1" }), false);
});

test("any order and repetition of a log's pieces gives the same log", () => {
  const pieces = Array.from({ length: 30 }, (_, index) => index + 1);
  for (let round = 0; round < 200; round += 1) {
    const log = new Log();
    log.begin("c");
    const shuffled = [...pieces, ...pieces].sort(() => Math.random() - 0.5);
    for (const seq of shuffled) log.accept(seq % 5 ? [row(seq)] : [], seq % 5 ? [] : [seq]);
    assert.deepEqual(seqs(log), pieces.filter((seq) => seq % 5));
    assert.equal(log.gap, null);
  }
});
