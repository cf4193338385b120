/* The socket and its state machine:

     idle → connecting → greeting (hello sent) → ready
              ↑                                   ↓ closed
              └──────── waiting (a pause) ←───────┘       or `ended`: the server will not have us

   Pauses grow by doubling, drawn at random below their bound so that ten thousand clients do not come back at once.
   Silence is asked about with a ping; no answer means that the line is dead, whatever the browser thinks. */

export const HELLO_TIMEOUT_MS = 10_000;
export const PING_EVERY_MS = 25_000;
export const PONG_TIMEOUT_MS = 8_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
const RESTART_SPREAD_MS = 5_000;
const ENDING_CODES = new Map([[4403, "origin"], [4404, "unknown"]]);

/** Milliseconds to wait before the next attempt; `failures` counts from 1. */
export function pauseBefore(failures, code, random = Math.random) {
  if (code === 1012) return random() * RESTART_SPREAD_MS;
  if (code === 4400) return LONGEST_PAUSE_MS;
  const bound = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
  return bound / 2 + (random() * bound) / 2;
}

export class Connection {
  /** `hello` makes the greeting at each attempt; `onFrame(frame)` hears everything else, `onState(state, reason)` changes. */
  constructor({ url, hello, onFrame, onState, makeSocket = (address) => new WebSocket(address), random = Math.random }) {
    Object.assign(this, { url, hello, onFrame, onState, makeSocket, random });
    this.state = "idle";
    this.failures = 0;
    this.socket = null;
    this.timer = null;
    this.heartbeat = null;
  }

  start() {
    if (this.state === "idle" || this.state === "waiting") this.#connect();
  }

  /** Leaves for good (until `start`). */
  stop() {
    this.#drop();
    this.#become("idle");
  }

  /** Does not wait any longer: the network is back, or the visitor asked. */
  retryNow() {
    if (this.state === "waiting") this.#connect();
  }

  /** Greets anew at once, with whatever `hello` says now. */
  restart() {
    if (this.state === "ended") return;
    this.#drop();
    this.#connect();
  }

  /** Takes the line for dead, as when the browser says that it is offline. */
  lost() {
    if (["connecting", "greeting", "ready"].includes(this.state)) this.#closed(1006);
  }

  /** True if the frame was handed to a greeted socket; that it arrives is only known by its answer. */
  send(frame) {
    if (this.state !== "ready" || this.socket.readyState !== 1) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  /** Asks whether anybody is there; a dead line is found within seconds. */
  probe() {
    if (!this.send({ type: "ping" })) return;
    clearTimeout(this.heartbeat);
    this.heartbeat = setTimeout(() => this.#closed(1006), PONG_TIMEOUT_MS);
  }

  #become(state, reason = null) {
    this.state = state;
    this.onState(state, reason);
  }

  #connect() {
    clearTimeout(this.timer);
    this.#become("connecting");
    const socket = this.makeSocket(this.url);
    this.socket = socket;
    this.timer = setTimeout(() => this.#closed(1006), HELLO_TIMEOUT_MS);
    socket.onopen = () => this.#greet(socket);
    socket.onmessage = (event) => socket === this.socket && this.#heard(event.data);
    socket.onclose = (event) => socket === this.socket && this.#closed(event.code);
  }

  #greet(socket) {
    if (socket !== this.socket) return;
    this.#become("greeting");
    socket.send(JSON.stringify(this.hello()));
  }

  #heard(data) {
    this.#expectMore();
    const frame = JSON.parse(data);
    if (frame.type === "pong") return;
    if (frame.type === "ready") this.#ready();
    this.onFrame(frame);
    if (frame.type === "error" && frame.code === "unavailable" && this.state === "greeting") this.#closed(1013);
  }

  #ready() {
    clearTimeout(this.timer);
    this.failures = 0;
    this.#become("ready");
  }

  #expectMore() {
    clearTimeout(this.heartbeat);
    this.heartbeat = setTimeout(() => this.probe(), PING_EVERY_MS);
  }

  #drop() {
    clearTimeout(this.timer);
    clearTimeout(this.heartbeat);
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #closed(code) {
    this.#drop();
    if (ENDING_CODES.has(code)) return this.#become("ended", ENDING_CODES.get(code));
    this.failures += 1;
    this.#become("waiting", code);
    if (this.state !== "waiting") return; // A listener has already gone on.
    this.timer = setTimeout(() => this.#connect(), pauseBefore(this.failures, code, this.random));
  }
}
