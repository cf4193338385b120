"""What a machine wrote, made plain text or our own small Markdown.

Bold, lists, code, and links to http, https, mailto and tel stay. HTML goes: the text is never
rendered as such, and must not become any where a channel, an export or a mail does it after
all. nh3, our sanitiser of HTML, gives HTML; here text has to come out, with `a < b` as it was.
"""

import html
import re

ROUNDS = 3

# What would need any of the work below; most answers hold none of it.
_SUSPECT = re.compile(
    r"[<\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
    r"|\]\s*\(|\]\s*:|script|data\s*:",
    re.IGNORECASE,
)
# Controls, marks that turn the direction of text, and invisible tag characters.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
_LINE_END = re.compile(r"\r\n?|[\u2028\u2029]")
_WITH_CONTENT = re.compile(
    r"<(script|style|iframe|object|template|noscript|svg|math)\b[^>]*>.*?(</\1\s*>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_COMMENT = re.compile(r"<!--.*?(-->|\Z)|<!\[CDATA\[|<[!?][^<>]*>", re.DOTALL)
_ANCHOR = re.compile(
    r"<a\s[^<>]*?href\s*=\s*[\"']?([^\"'\s<>]*)[^<>]*>([^<>]*)</a\s*>", re.IGNORECASE
)
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|li|tr|h[1-6])\s*>", re.IGNORECASE)
_AUTOLINK = re.compile(r"<((?:https?://|mailto:|tel:)[^\s<>]*)>", re.IGNORECASE)
_TAGS = (
    "a abbr address area article aside audio b base bdi bdo big blockquote body br button canvas "
    "caption center cite code col data dd del details dfn dialog div dl dt em embed fieldset "
    "figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i iframe image "
    "img input ins kbd label legend li link main map mark marquee math menu meta nav noscript "
    "object ol optgroup option output p param picture pre progress q s samp script section select "
    "slot small source span strike strong style sub summary sup svg table tbody td template "
    "textarea tfoot th thead time title tr track tt u ul var video wbr"
).replace(" ", "|")
_TAG = re.compile(rf"</?(?:{_TAGS})(?:[\s/]+(?:[A-Za-z@:_][^<>]*)?)?>", re.IGNORECASE)
# What a browser may still take for the beginning of a tag.
_TAG_START = re.compile(r"<(?=[A-Za-z/!?])")
_UNFINISHED = re.compile(r"<[A-Za-z/!?][^<>]{0,400}\Z")
_LINK = re.compile(r"!?\[([^\[\]]{0,500})\]\s{0,3}\(((?:[^()]|\([^()]{0,500}\)){0,2000})\)")
_REFERENCE = re.compile(r"^[ \t]*\[[^\[\]]+\]:[ \t]*(\S+).*$", re.MULTILINE)
_SCHEME = re.compile(
    r"(j\s*a\s*v\s*a\s*s\s*c\s*r\s*i\s*p\s*t|v\s*b\s*s\s*c\s*r\s*i\s*p\s*t"
    r"|data(?=\s*:\s*[\w+.-]+/[\w+.-]+))\s*:",
    re.IGNORECASE,
)
_GOOD_TARGET = re.compile(r"(?:https?://|mailto:|tel:)[^\s\"'<>]+", re.IGNORECASE)


def plain(text: str, *, growing: bool = False) -> str:
    """The text without anything active. Of a growing one, an unfinished tag is kept back."""
    if not _SUSPECT.search(text):
        return text
    text = _INVISIBLE.sub("", _LINE_END.sub("\n", text))
    text = _without_html(text, growing=growing)
    text = _LINK.sub(_link, text)
    text = _REFERENCE.sub(lambda m: m.group() if is_good_target(m.group(1)) else "", text)
    text = _TAG_START.sub("< ", text)  # last, for what was taken out may have left one behind
    return _SCHEME.sub(r"\1：", text)


def is_good_target(url: str) -> bool:
    """Whether a link may lead there: http, https, mailto or tel."""
    return _GOOD_TARGET.fullmatch(html.unescape(url).strip()) is not None


def _without_html(text: str, *, growing: bool) -> str:
    """Without tags and what they hold. Tags within tags only so deep: what is left has no effect
    by `_TAG_START`.
    """
    for _round in range(ROUNDS):
        text = _COMMENT.sub("", _WITH_CONTENT.sub("", text))
        text = _AUTOLINK.sub(r"\1", _ANCHOR.sub(r"[\2](\1)", text))
        text = _TAG.sub("", _BREAK.sub("\n", text))
    return _UNFINISHED.sub("", text) if growing else text


def _link(match: re.Match[str]) -> str:
    """A picture would be fetched without being asked for, so it becomes a link."""
    words, inner = match.groups()
    target = (inner.split() or [""])[0].strip("<>")
    return f"[{words}]({target})" if is_good_target(target) else words
