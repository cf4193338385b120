import assert from "node:assert/strict";
import test from "node:test";
import { Connection, pauseBefore } from "../../../static/webchat/connection.js";
import { luminance, textOn } from "../../../static/webchat/theming.js";
import { parts } from "../../../static/js/linkify.js";

class Socket {
  readyState = 1;
  sent = [];
  send(text) { this.sent.push(JSON.parse(text)); }
  close() { this.readyState = 3; }
  say(frame) { this.onmessage({ data: JSON.stringify(frame) }); }
}

function connected() {
  const sockets = [];
  const states = [];
  const frames = [];
  const connection = new Connection({
    url: "ws://host/", hello: () => ({ type: "hello" }), random: () => 0,
    onFrame: (frame) => frames.push(frame.type), onState: (state, reason) => states.push([state, reason]),
    makeSocket: () => { sockets.push(new Socket()); return sockets.at(-1); },
  });
  return { connection, sockets, states, frames };
}

test("the greeting goes first and nothing else before the server is ready", () => {
  const { connection, sockets } = connected();
  connection.start();
  sockets[0].onopen();
  assert.equal(connection.send({ type: "read", seq: 1 }), false);
  sockets[0].say({ type: "ready" });
  assert.equal(connection.send({ type: "read", seq: 1 }), true);
  assert.deepEqual(sockets[0].sent.map((frame) => frame.type), ["hello", "read"]);
  connection.stop();
});

test("a lost line is dialled again after a pause", () => {
  const { connection, sockets, states } = connected();
  connection.start();
  sockets[0].onopen();
  sockets[0].say({ type: "ready" });
  sockets[0].onclose({ code: 1006 });
  assert.deepEqual(states.at(-1), ["waiting", 1006]);
  connection.retryNow();
  assert.equal(sockets.length, 2);
  connection.stop();
});

test("an unknown inbox or a foreign origin ends it", () => {
  for (const code of [4403, 4404]) {
    const { connection, sockets, states } = connected();
    connection.start();
    sockets[0].onclose({ code });
    assert.equal(states.at(-1)[0], "ended");
    connection.retryNow();
    assert.equal(sockets.length, 1);
  }
});

test("a stale socket's last words are not heard", () => {
  const { connection, sockets, frames } = connected();
  connection.start();
  const stale = sockets[0].onmessage;
  connection.restart();
  assert.equal(sockets[0].onmessage, null);
  stale({ data: '{"type":"ready"}' });
  assert.deepEqual(frames, []);
  connection.stop();
});

test("a database that is away before `ready` means another attempt", () => {
  const { connection, sockets, states } = connected();
  connection.start();
  sockets[0].onopen();
  sockets[0].say({ type: "error", code: "unavailable" });
  assert.equal(states.at(-1)[0], "waiting");
  connection.stop();
});

test("pauses double up to half a minute and never fall below half their bound", () => {
  const longest = [1, 2, 3, 7, 20].map((failures) => pauseBefore(failures, 1006, () => 1));
  assert.deepEqual(longest, [500, 1000, 2000, 30_000, 30_000]);
  assert.equal(pauseBefore(3, 1006, () => 0), 1000);
});

test("after a restart of the server clients come back spread over five seconds", () => {
  assert.deepEqual([0, 0.5, 1].map((random) => pauseBefore(9, 1012, () => random)), [0, 2500, 5000]);
});

test("only web addresses become links, and end where Chinese goes on", () => {
  assert.deepEqual(parts("见https://a.cn/x?y=1。谢谢 javascript:alert(1)"), [
    { text: "见" }, { text: "https://a.cn/x?y=1", href: "https://a.cn/x?y=1" }, { text: "。谢谢 javascript:alert(1)" },
  ]);
});

test("text on a brand's colour is readable", () => {
  assert.deepEqual(["#2b66f6", "#ffd400", "#000000"].map(textOn), ["#ffffff", "#171a21", "#ffffff"]);
  assert.equal(luminance("#ffffff"), 1);
});
