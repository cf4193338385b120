/* The bot's small Markdown as DOM nodes: bold, code, links, headings and bullets. Whatever else is there stays text. */

import { linkified } from "./linkify.js";

const MARK = /\*\*(?<bold>[^*\n]+)\*\*|`(?<code>[^`\n]+)`|\[(?<words>[^[\]\n]+)\]\((?<href>(?:https?:\/\/|mailto:|tel:)[^\s()]+)\)/gi;
const HEADING = /^#{1,6} +/;
const BULLET = /^(\s*)[-*+] +/;

/** DOM nodes for a text. */
export function marked(text) {
  const nodes = [];
  text.split("\n").forEach((line, index) => {
    if (index) nodes.push(document.createTextNode("\n"));
    nodes.push(...lineNodes(line));
  });
  return nodes;
}

function lineNodes(line) {
  if (HEADING.test(line)) return [element("strong", inline(line.replace(HEADING, "")))];
  return inline(line.replace(BULLET, "$1• "));
}

function inline(line) {
  const nodes = [];
  let done = 0;
  for (const match of line.matchAll(MARK)) {
    nodes.push(...linkified(line.slice(done, match.index)), markNode(match.groups));
    done = match.index + match[0].length;
  }
  return [...nodes, ...linkified(line.slice(done))];
}

function markNode({ bold, code, words, href }) {
  if (bold) return element("strong", linkified(bold));
  if (code) return element("code", [document.createTextNode(code)]);
  const link = element("a", [document.createTextNode(words)]);
  Object.assign(link, { href, target: "_blank", rel: "noopener noreferrer nofollow" });
  return link;
}

function element(name, children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}
