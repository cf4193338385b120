/* Kefu widget loader: <script async src="https://HOST/widget/v1.js" data-inbox="KEY"></script>
   Draws the launcher in a shadow tree and opens the chat in a frame of HOST. It sets no cookie, stores nothing, asks nobody
   but HOST, changes no prototype and no style of the page, and leaves one global object, Kefu. Calls made before it is
   loaded are kept in an array: window.Kefu = window.Kefu || []; Kefu.push(["open"]). */
(function () {
  "use strict";
  var script = document.currentScript || document.querySelector("script[data-inbox][src*='/widget/v1.js']");
  if (!script || !script.dataset.inbox || (window.Kefu && window.Kefu.version)) return;

  var HOST = new URL(script.src).origin;
  var data = script.dataset;
  var LAYER = 2147483000;
  var PREVIEW_MS = 12000;
  var IDLE_MS = 3000;
  var queue = Array.isArray(window.Kefu) ? window.Kefu : [];
  var listeners = {};
  var state = { open: false, hidden: data.hidden !== undefined, locale: data.locale || document.documentElement.lang || "", identity: null, page: null, ready: false };
  var waiting = []; // words for the frame, said once it is there
  var parts = {};
  var ENGLISH = /^en/i;
  var WORDS = {
    zh: { open: "打开在线客服", unread: "打开在线客服，{n} 条未读", close: "收起在线客服", frame: "在线客服", dismiss: "关闭预览" },
    en: { open: "Open chat", unread: "Open chat, {n} unread", close: "Close chat", frame: "Chat", dismiss: "Dismiss preview" }
  };
  var CSS =
    ":host{all:initial!important;position:fixed!important;inset:auto 0 0 auto!important;z-index:" + LAYER + "!important}" +
    "*{box-sizing:border-box}[hidden]{display:none!important}" +
    ".b,.p,.x{font:400 14px/22px 'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',system-ui,sans-serif;border:0;cursor:pointer}" +
    ".b{position:fixed;inset-block-end:calc(24px + env(safe-area-inset-bottom));inset-inline-end:24px;inline-size:56px;block-size:56px;border-radius:50%;display:grid;place-items:center;background:var(--c,#2b66f6);color:var(--o,#fff);box-shadow:0 4px 14px rgba(17,22,34,.24);transition:transform .16s}" +
    ".b:hover{transform:translateY(-1px)}.b:focus-visible,.x:focus-visible,.p:focus-visible{outline:2px solid var(--c,#2f6bff);outline-offset:2px}" +
    ".b svg{inline-size:26px;block-size:26px;fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}" +
    ".n{position:absolute;inset-block-start:-3px;inset-inline-end:-3px;min-inline-size:20px;block-size:20px;padding:0 5px;border-radius:10px;background:#d3303b;color:#fff;font-size:12px;font-weight:600;line-height:20px;text-align:center;box-shadow:0 0 0 2px #fff}" +
    ".f{position:fixed;inset-block-end:96px;inset-inline-end:24px;inline-size:380px;block-size:min(640px,calc(100vh - 120px));border:0;border-radius:12px;background:#fff;color-scheme:light dark;box-shadow:0 0 0 1px rgba(17,22,34,.07),0 8px 20px -4px rgba(17,22,34,.12),0 28px 64px -12px rgba(17,22,34,.28)}" +
    ".l{position:fixed;inset-block-end:96px;inset-inline-end:24px;display:grid;gap:10px;justify-items:end}" +
    ".w{position:relative}.p{max-inline-size:300px;padding:10px 14px;border-radius:12px;background:#fff;color:#171a21;text-align:start;box-shadow:0 0 0 1px rgba(17,22,34,.06),0 10px 28px -6px rgba(17,22,34,.2);display:-webkit-box;-webkit-line-clamp:3;-webkit-box-orient:vertical;overflow:hidden}" +
    ".p b{display:block;font-size:12px;font-weight:600;line-height:18px}" +
    ".x{position:absolute;inset-block-start:-10px;inset-inline-end:-8px;inline-size:24px;block-size:24px;padding:0;border-radius:50%;background:#fff;color:#4f5765;line-height:24px;text-align:center;box-shadow:0 0 0 1px rgba(17,22,34,.1),0 2px 6px rgba(17,22,34,.16)}" +
    ".left .b,.left .f,.left .l{inset-inline:24px auto}.left .l{justify-items:start}" +
    "@media (prefers-color-scheme:dark){.p,.x{background:#20242c;color:#e8eaee}.n{box-shadow:0 0 0 2px #181b21}.f{background:#181b21}}" +
    "@media (prefers-reduced-motion:reduce){.b{transition:none}}" +
    "@media (max-width:639px){.b{inline-size:48px;block-size:48px;inset-block-end:calc(16px + env(safe-area-inset-bottom));inset-inline-end:16px}.f,.left .f{inset:0 0 auto 0;inline-size:100vw;block-size:var(--h,100dvh);border-radius:0}.l{inset-block-end:76px;inset-inline-end:16px}.open .b{display:none}}";

  function words(key) {
    return WORDS[ENGLISH.test(state.locale || navigator.language) ? "en" : "zh"][key];
  }

  function make(tag, attributes, children) {
    var element = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (name) { element.setAttribute(name, attributes[name]); });
    (children || []).forEach(function (child) { element.append(child); });
    return element;
  }

  function shape(path) {
    var NS = "http://www.w3.org/2000/svg";
    var svg = document.createElementNS(NS, "svg");
    var line = document.createElementNS(NS, "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    line.setAttribute("d", path);
    svg.append(line);
    return svg;
  }

  // Rules go in by script, which a strict content policy allows; a style element's text it would not.
  function dress(root) {
    if ("adoptedStyleSheets" in root && window.CSSStyleSheet && CSSStyleSheet.prototype.replaceSync) {
      var sheet = new CSSStyleSheet();
      sheet.replaceSync(CSS);
      root.adoptedStyleSheets = [sheet];
      return;
    }
    var style = make("style");
    root.append(style);
    CSS.match(/@media[^{]+\{(?:[^{}]+\{[^{}]*\})+\}|[^{}]+\{[^{}]*\}/g).forEach(function (rule) { style.sheet.insertRule(rule, style.sheet.cssRules.length); });
  }

  function build() {
    parts.host = make("kefu-widget");
    var root = parts.host.attachShadow({ mode: "open" });
    dress(root);
    parts.talk = shape("M7.9 20A9 9 0 1 0 4 16.1L2 22Z");
    parts.fold = shape("m6 9 6 6 6-6");
    parts.badge = make("span", { "class": "n", "aria-hidden": "true" });
    parts.button = make("button", { "class": "b", type: "button" }, [parts.talk, parts.fold, parts.badge]);
    parts.button.addEventListener("click", function () { api.toggle(); });
    parts.previews = make("div", { "class": "l" });
    parts.box = make("div", { "class": data.position === "left" ? "left" : "" }, [parts.previews, parts.button]);
    root.append(parts.box);
    (document.body || document.documentElement).append(parts.host);
    if (data.color) paint({ primary: data.color });
    shown({ count: 0, previews: [] });
  }

  function paint(theme) {
    if (!/^#[0-9a-f]{6}$/i.test(theme.primary || "")) return;
    parts.host.style.setProperty("--c", theme.primary);
    parts.host.style.setProperty("--o", theme.on || "#fff");
  }

  function frame() {
    if (parts.frame) return;
    var address = HOST + "/chat/" + encodeURIComponent(data.inbox) + "/";
    if (state.locale) address += "?lang=" + encodeURIComponent(state.locale);
    parts.frame = make("iframe", { "class": "f", src: address, title: words("frame"), allow: "clipboard-write" });
    parts.frame.hidden = true;
    parts.box.append(parts.frame);
  }

  function say(word, value) {
    if (!state.ready) waiting.push([word, value]);
    else parts.frame.contentWindow.postMessage({ kefu: word, value: value === undefined ? null : value }, HOST);
  }

  function heard(event) {
    var message = event.data;
    if (event.origin !== HOST || !parts.frame || event.source !== parts.frame.contentWindow || !message) return;
    if (message.kefu === "here") greet();
    else if (message.kefu === "close") api.close();
    else if (message.kefu === "unread") shown(message.value);
    else if (message.kefu === "config" && !data.color) paint(message.value.theme || {});
    else if (message.kefu === "event") tell(message.value.event, message.value.detail);
  }

  function greet() {
    state.ready = true;
    // Not before: while the frame loads it loses the focus again.
    if (state.open) parts.frame.focus();
    say("init", { page: state.page || here(), identity: state.identity, open: state.open });
    waiting.splice(0).forEach(function (word) { say(word[0], word[1]); });
  }

  function here() {
    return { url: location.href, title: document.title, referrer: document.referrer };
  }

  function shown(unread) {
    state.unread = unread;
    var count = unread.count;
    parts.badge.textContent = count > 99 ? "99+" : count;
    parts.badge.hidden = !count;
    parts.button.setAttribute("aria-label", state.open ? words("close") : count ? words("unread").replace("{n}", count) : words("open"));
    parts.button.setAttribute("aria-expanded", String(state.open));
    preview(unread.previews);
    if (count !== state.count) tell("unread", { count: count });
    state.count = count;
  }

  function preview(list) {
    var fresh = list.map(function (item) { return item.id; }).join();
    if (fresh === state.previewed) return;
    state.previewed = fresh;
    parts.previews.replaceChildren.apply(parts.previews, list.map(card));
    clearTimeout(state.fading);
    state.fading = setTimeout(function () { parts.previews.replaceChildren(); }, PREVIEW_MS);
  }

  function card(item) {
    var name = make("b");
    name.textContent = item.name;
    var bubble = make("button", { "class": "p", type: "button" }, [name, document.createTextNode(item.text)]);
    var cross = make("button", { "class": "x", type: "button", "aria-label": words("dismiss") }, ["×"]);
    var box = make("div", { "class": "w" }, [bubble, cross]);
    bubble.addEventListener("click", function () { api.open(); });
    cross.addEventListener("click", function () { box.remove(); });
    return box;
  }

  function show() {
    parts.box.classList.toggle("open", state.open);
    parts.button.hidden = state.hidden;
    parts.previews.hidden = state.open || state.hidden;
    parts.talk.style.display = state.open ? "none" : "";
    parts.fold.style.display = state.open ? "" : "none";
    if (parts.frame) parts.frame.hidden = !state.open;
    shown(state.unread);
    fit();
  }

  // On phones the panel is as high as what the keyboard leaves, and the page behind does not move.
  function fit() {
    var view = window.visualViewport;
    if (view) parts.host.style.setProperty("--h", view.height + "px");
    var phone = window.matchMedia("(max-width:639px)").matches && state.open;
    if (phone === Boolean(state.locked)) return;
    if (phone) {
      state.locked = { value: document.documentElement.style.getPropertyValue("overflow") };
      document.documentElement.style.setProperty("overflow", "hidden");
      history.pushState(Object.assign({}, history.state, { kefu: true }), "");
      return;
    }
    document.documentElement.style.setProperty("overflow", state.locked.value);
    state.locked = null;
    if (history.state && history.state.kefu) history.back();
  }

  function backed() {
    if (state.locked && state.open) api.close();
  }

  function tell(event, detail) {
    (listeners[event] || []).slice().forEach(function (listener) {
      try { listener(detail); } catch (error) { setTimeout(function () { throw error; }); }
    });
  }

  var api = {
    version: "1",
    open: function () {
      if (state.open) return;
      state.open = true;
      frame();
      show();
      say("visible", true);
      if (state.ready) parts.frame.focus();
      tell("open");
    },
    close: function () {
      if (!state.open) return;
      state.open = false;
      show();
      say("visible", false);
      parts.button.focus();
      tell("close");
    },
    toggle: function () { api[state.open ? "close" : "open"](); },
    show: function () { state.hidden = false; show(); },
    hide: function () { state.hidden = true; show(); },
    setUser: function (jwt) { state.identity = jwt; if (jwt) { frame(); say("identify", jwt); } },
    setLocale: function (locale) { state.locale = locale; if (parts.frame) say("locale", locale); shown(state.unread); },
    setPage: function (page) { state.page = Object.assign(here(), page || {}); if (parts.frame) say("page", state.page); },
    prefill: function (text) { frame(); say("prefill", String(text)); },
    reset: function () { state.identity = null; frame(); say("reset"); },
    on: function (event, listener) { (listeners[event] = listeners[event] || []).push(listener); },
    off: function (event, listener) { listeners[event] = (listeners[event] || []).filter(function (other) { return other !== listener; }); },
    push: function (call) { if (typeof api[call[0]] === "function") api[call[0]].apply(api, call.slice(1)); },
    destroy: function () {
      api.close();
      window.removeEventListener("message", heard);
      window.removeEventListener("popstate", backed);
      if (window.visualViewport) window.visualViewport.removeEventListener("resize", fit);
      parts.host.remove();
      delete window.Kefu;
    }
  };

  /* Until the page has a body, calls wait in the queue; listeners need not. */
  function waitForStart() {
    Object.keys(api).forEach(function (name) {
      var act = api[name];
      if (typeof act !== "function" || name === "on" || name === "off") return;
      api[name] = function () {
        if (parts.host) return act.apply(api, arguments);
        queue.push([name].concat([].slice.call(arguments)));
      };
    });
  }

  function start() {
    build();
    window.addEventListener("message", heard);
    window.addEventListener("popstate", backed);
    if (window.visualViewport) window.visualViewport.addEventListener("resize", fit);
    show();
    queue.splice(0).forEach(function (call) { api.push(call); });
    if (data.preload !== "off") (window.requestIdleCallback || setTimeout)(frame, { timeout: IDLE_MS });
  }

  waitForStart();
  window.Kefu = api;
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
