/* Elements without innerHTML: what people wrote only ever becomes text. */

const SVG = "http://www.w3.org/2000/svg";

/** el("p", {class: "meta", onclick: f, hidden: false}, "text", child…); null children are left out. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function icon(name, size = 16) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon icon-${size}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${document.body.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}

/** Makes `parent` hold exactly `items` in order, [{key, look, make()}]; an element is made anew only if its look changed. */
export function reconcile(parent, items) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => kept(old.get(item.key), item) ?? fresh(item));
  const stays = new Set(wanted);
  for (const child of [...parent.children]) if (!stays.has(child)) child.remove();
  wanted.forEach((element, index) => {
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
}

const kept = (element, item) => (element?.dataset.look === item.look ? element : null);

function fresh(item) {
  const element = item.make();
  Object.assign(element.dataset, { key: item.key, look: item.look });
  return element;
}

export const byId = (id) => document.getElementById(id);
