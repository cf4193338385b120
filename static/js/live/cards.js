// A card for each endpoint, changed in place so that nothing jumps.

import { copyOf, fill, say } from "./words.js";

const NONE = "—";
const cards = new Map();
const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 2 });

export function showCards(endpoints) {
  const place = document.getElementById("cards");
  for (const endpoint of endpoints) {
    if (!cards.has(endpoint.slug)) {
      cards.set(endpoint.slug, copyOf("card"));
      place.append(cards.get(endpoint.slug));
    }
    showCard(cards.get(endpoint.slug), endpoint);
  }
  const slugs = new Set(endpoints.map((endpoint) => endpoint.slug));
  for (const [slug, card] of cards) {
    if (!slugs.has(slug)) {
      card.remove();
      cards.delete(slug);
    }
  }
}

function showCard(card, { slug, backend, missing, policy, figures, ill }) {
  const badge = card.querySelector('[data-slot="breaker"]');
  badge.hidden = !figures || missing.length > 0;
  card.querySelector('[data-slot="ill"]').hidden = !ill || missing.length > 0;
  badge.dataset.breaker = figures?.cooling_s ? "cooling" : figures?.breaker;
  fill(card, {
    slug,
    breaker: figures ? wordOf(figures) : "",
    note: missing.length ? say("missing", { what: missing.join(", ") }) : backend,
    policy: policy ?? NONE,
    ill,
    ...figuresOf(figures),
  });
}

function wordOf({ breaker, cooling_s }) {
  return cooling_s ? say("cooling", { left: Math.ceil(cooling_s) }) : say(breaker);
}

function figuresOf(figures) {
  const shown = {
    qps: (f) => number.format(f.qps),
    in_flight: (f) => number.format(f.in_flight),
    degraded_share: (f) => percent(f.degraded_share),
    error_rate: (f) => percent(f.error_rate),
    latency_ms: (f) => (f.latency_ms ? `${number.format(Math.round(f.latency_ms))} ms` : NONE),
    tokens_today: (f) => number.format(f.tokens_today),
    cost_today: (f) => number.format(f.cost_today),
  };
  return Object.fromEntries(
    Object.entries(shown).map(([name, show]) => [name, figures ? show(figures) : NONE]),
  );
}

function percent(share) {
  return `${Math.round(share * 100)}%`;
}
