/* Small helpers around the page: find, clone a template, fill its slots. Text only ever through textContent. */

export const find = (selector, root = document) => root.querySelector(selector);
export const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

/** A copy of what stands once in templates/agents/_templates.html. */
export function clone(name) {
  return find(`#tpl-${name}`).content.firstElementChild.cloneNode(true);
}

export function slot(root, name) {
  return find(`[data-slot="${name}"]`, root);
}

export function say(root, name, text) {
  const element = slot(root, name);
  if (element) element.textContent = text;
  return element;
}

export function show(element, on) {
  if (element) element.hidden = !on;
}

export function setIcon(svg, name) {
  find("use", svg).setAttribute("href", `${document.body.dataset.sprite}#${name}`);
}

/** A button that looks like a link, for ways out inside the text. */
export function linkButton(text, onClick) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-link";
  button.textContent = text;
  button.addEventListener("click", onClick);
  return button;
}

/** Parse a fragment that the server rendered. Scripts in it do not run; it has none but JSON. */
export function parse(html) {
  return document.createRange().createContextualFragment(html);
}

export function readJSON(id, root = document) {
  const element = find(`#${id}`, root);
  return element ? JSON.parse(element.textContent) : null;
}
