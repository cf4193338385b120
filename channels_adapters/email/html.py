"""HTML mails as text: cleaned first, so that only harmless elements are ever looked at."""

import re
from html.parser import HTMLParser

import nh3

MAX_HTML = 512 * 1024  # characters
_BLOCKS = {
    *("p", "div", "ul", "ol", "li", "table", "tr", "pre", "hr", "blockquote"),
    *("h1", "h2", "h3", "h4", "h5", "h6"),
}
_PARAGRAPHS = {"p", "ul", "ol", "table", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6"}
_TAGS = {*_BLOCKS, "br", "a", "span", "b", "strong", "i", "em", "td", "th", "tbody", "thead"}
_WITHOUT_CONTENT = {"script", "style", "title", "noscript", "template", "object", "svg", "math"}
_SPACE = re.compile(r"[ \t\r\n\f]+")
_BLANKS = re.compile(r"\n{3,}")


def text_of(html: str) -> str:
    """The words, a link's address beside its words, what is quoted behind ">". No pictures."""
    cleaned = nh3.clean(
        html[:MAX_HTML],
        tags=_TAGS,
        attributes={"a": {"href"}},
        clean_content_tags=_WITHOUT_CONTENT,
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
        strip_comments=True,
    )
    reader = _Reader()
    reader.feed(cleaned)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    """Writes lines as it meets elements; nothing recursive, however deep they lie."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = [""]
        self._depth = 0
        self._verbatim = 0
        self._links: list[tuple[str, str]] = []  # (address, what stood before its words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self._lines.append(self._mark())
        elif tag in _BLOCKS:
            self._break(blank=tag in _PARAGRAPHS)
        if tag == "blockquote":
            self._depth += 1
            self._lines[-1] = self._mark()
        elif tag == "pre":
            self._verbatim += 1
        elif tag == "li":
            self._lines[-1] += "· "
        elif tag in ("td", "th") and not self._is_bare():
            self._lines[-1] += " "
        elif tag == "a":
            self._links.append((dict(attrs).get("href") or "", self._lines[-1]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._links:
            address, before = self._links.pop()
            words = self._lines[-1].removeprefix(before).strip()
            if address.startswith("http") and words.rstrip("/") != address.rstrip("/"):
                self._lines[-1] += f" ({address})" if words else address
        if tag == "blockquote":
            self._depth = max(0, self._depth - 1)
        elif tag == "pre":
            self._verbatim = max(0, self._verbatim - 1)
        if tag in _BLOCKS:
            self._break(blank=tag in _PARAGRAPHS)

    def handle_data(self, data: str) -> None:
        if self._verbatim:
            first, *more = data.split("\n")
            self._lines[-1] += first
            self._lines += [self._mark() + line for line in more]
            return
        words = _SPACE.sub(" ", data)
        self._lines[-1] += words.lstrip() if self._is_bare() else words

    def _mark(self) -> str:
        return "> " * min(self._depth, 20)

    def _is_bare(self) -> bool:
        return self._lines[-1] == self._mark()

    def _break(self, *, blank: bool) -> None:
        if not self._is_bare():
            self._lines.append(self._mark())
        elif self._lines[-1] != self._mark():
            self._lines[-1] = self._mark()
        if blank and len(self._lines) > 1 and self._lines[-2].strip("> "):
            self._lines.append(self._mark())

    def text(self) -> str:
        lines = (line.replace("\xa0", " ").rstrip() for line in self._lines)
        return _BLANKS.sub("\n\n", "\n".join(lines)).strip()
