/* The console socket (contract §5): opens, keeps alive, comes back with jitter. Frames become events of their type. */

import { t } from "./format.js";

/* Lists are written once for all consoles, with names made up in one language for who gave none. */
const MADE_UP_NAME = /^(?:访客|Visitor) ([0-9A-F]{4})$/;
const PING_MS = 20_000;
const SILENCE_MS = 45_000;
const LONGEST_PAUSE_MS = 15_000;

export class ConsoleSocket extends EventTarget {
  constructor(path = "/ws/console/") {
    super();
    this.url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
    this.attempts = 0;
    this.reconnects = 0;
    this.isReady = false;
    this.wasReady = false;
    this.lastEventAt = null;
    this.tripMs = null;
    this.retryAt = null;
    addEventListener("online", () => this.reconnectNow());
    addEventListener("offline", () => this.isReady && this.drop());
    document.addEventListener("visibilitychange", () => document.hidden || this.isReady || this.reconnectNow());
    setInterval(() => this.keepAlive(), 5000);
  }

  connect() {
    clearTimeout(this.timer);
    this.retryAt = null;
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.openedAt = Date.now();
    socket.addEventListener("message", (event) => socket === this.socket && this.hear(event.data));
    socket.addEventListener("close", (event) => socket === this.socket && this.lost(event.code));
    this.tell("state", { state: "connecting" });
  }

  reconnectNow() {
    if (this.isReady || this.isEnded) return;
    if (this.socket?.readyState === WebSocket.CONNECTING && Date.now() - this.openedAt < 3000) return;
    this.attempts = 0;
    this.socket?.close();
    this.connect();
  }

  /** False where there is no connection: the caller keeps what it wanted to send. */
  send(frame) {
    if (!this.isReady || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  hear(data) {
    this.lastEventAt = Date.now();
    const frame = JSON.parse(data, inOurWords);
    if (frame.type === "pong") this.tripMs = Math.round(performance.now() - this.pingedAt);
    if (frame.type === "ready") this.welcome();
    this.tell(frame.type, frame);
  }

  welcome() {
    if (this.wasReady) this.reconnects += 1;
    this.isReady = true;
    this.attempts = 0;
    this.tell("state", { state: "live", again: this.wasReady });
    this.wasReady = true;
    this.ping();
  }

  lost(code) {
    const wasReady = this.isReady;
    this.isReady = false;
    if (code === 4401 || code === 4403) {
      this.isEnded = true;
      this.tell("signedout", {});
    } else {
      this.retryIn(this.pauseMs(code));
    }
    this.tell("state", { state: "offline", wasReady });
  }

  /** A restarting server asks for a random moment within 5 s; else the pause doubles, with jitter. */
  pauseMs(code) {
    if (code === 1012) return Math.random() * 5000;
    const ceiling = Math.min(LONGEST_PAUSE_MS, 500 * 2 ** this.attempts);
    this.attempts += 1;
    return ceiling / 2 + Math.random() * (ceiling / 2);
  }

  retryIn(pauseMs) {
    this.retryAt = Date.now() + pauseMs;
    this.timer = setTimeout(() => this.connect(), pauseMs);
  }

  keepAlive() {
    if (!this.isReady) return;
    if (Date.now() - this.lastEventAt > SILENCE_MS) {
      this.drop();
    } else if (performance.now() - this.pingedAt >= PING_MS) {
      this.ping();
    }
  }

  /** Lets go of a connection that is dead without a word: its own close may come late, or never. */
  drop() {
    this.socket.close();
    this.lost(1006);
    this.socket = null;
  }

  ping() {
    this.pingedAt = performance.now();
    this.send({ type: "ping" });
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  on(type, listener) {
    this.addEventListener(type, (event) => listener(event.detail));
  }
}

function inOurWords(key, value) {
  const code = key === "name" && typeof value === "string" && MADE_UP_NAME.exec(value)?.[1];
  return code ? t("visitor_code", { code }) : value;
}
