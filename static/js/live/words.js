// What the page says, in the language it was made in; `{name}` stands for a value.

const words = JSON.parse(document.getElementById("live-words").textContent);

export function say(key, values = {}) {
  return Object.entries(values).reduce(
    (text, [name, value]) => text.replace(`{${name}}`, () => String(value)),
    words[key],
  );
}

export function fill(element, slots) {
  for (const [name, text] of Object.entries(slots)) {
    element.querySelector(`[data-slot="${name}"]`).textContent = text;
  }
}

export function copyOf(templateId) {
  return document.getElementById(templateId).content.firstElementChild.cloneNode(true);
}
