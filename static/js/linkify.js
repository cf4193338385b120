/* Text with its web addresses as links. Only http and https become links; everything else stays text. */

/* Ends at a space, at CJK text or punctuation, and before closing punctuation of Latin text. */
const ADDRESS = /https?:\/\/[\w\-.~:/?#[\]@!$&'()*+,;=%]*[\w\-~/#=&%+$]/gi;

/** Splits into [{text}, {text, href}] in order; joined, the texts are the input again. */
export function parts(text) {
  const found = [];
  let done = 0;
  for (const match of text.matchAll(ADDRESS)) {
    if (match.index > done) found.push({ text: text.slice(done, match.index) });
    found.push({ text: match[0], href: match[0] });
    done = match.index + match[0].length;
  }
  if (done < text.length) found.push({ text: text.slice(done) });
  return found;
}

/** DOM nodes for a text. */
export function linkified(text) {
  return parts(text).map(({ text: words, href }) => {
    if (!href) return document.createTextNode(words);
    const link = document.createElement("a");
    link.href = href;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    link.textContent = words;
    return link;
  });
}
