"""An article cut into passages: by its headings, then by paragraphs, each about as long as an
answer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST = 600  # characters of a passage
ENOUGH = 400  # from here on it is not filled up any more
OVERLAP = 60  # characters of the one before, where a paragraph had to be cut

_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_SENTENCE = re.compile(r"[^。！？!?；;\n]*(?:[。！？!?；;]+[”’」』）)]*|\n|\Z|(?<=\.)\s)")


@dataclass(frozen=True)
class Chunk:
    """`heading` leads to the text: 退货 > 运费."""

    heading: str
    text: str


def chunks_of(body: str) -> list[Chunk]:
    """The passages of a Markdown text, in its order; none of them empty."""
    return [
        Chunk(heading[:200], text)
        for heading, paragraphs in _sections(body)
        for text in _filled(paragraphs)
    ]


def _sections(body: str) -> Iterator[tuple[str, list[str]]]:
    """(path of headings, paragraphs)."""
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fenced = False
    for line in body.splitlines():
        fenced ^= _FENCE.match(line) is not None
        heading = None if fenced else _HEADING.match(line)
        if heading is None:
            lines.append(line)
            continue
        yield _path(path), _paragraphs(lines)
        depth = len(heading.group(1))
        path = [*(step for step in path if step[0] < depth), (depth, heading.group(2))]
        lines = []
    yield _path(path), _paragraphs(lines)


def _path(path: list[tuple[int, str]]) -> str:
    return " > ".join(words for _depth, words in path)


def _paragraphs(lines: list[str]) -> list[str]:
    blocks = re.split(r"\n\s*\n", "\n".join(line.rstrip() for line in lines))
    return [block.strip("\n") for block in blocks if block.strip()]


def _filled(paragraphs: list[str]) -> Iterator[str]:
    """Paragraphs put together until it is enough; one that is too long, cut."""
    text = ""
    for paragraph in paragraphs:
        if text and (len(text) >= ENOUGH or len(text) + len(paragraph) > MOST):
            yield text
            text = ""
        text = f"{text}\n\n{paragraph}" if text else paragraph
        if len(text) > MOST:
            *whole, text = _cut(text)
            yield from whole
    if text:
        yield text


def _cut(text: str) -> list[str]:
    """Pieces at the ends of sentences, each beginning with the end of the one before."""
    pieces = [""]
    for sentence in _sentences(text):
        if len(pieces[-1]) + len(sentence) > MOST:
            pieces.append(_end_of(pieces[-1]))
        pieces[-1] += sentence
    return [piece.strip() for piece in pieces if piece.strip()]


def _sentences(text: str) -> Iterator[str]:
    """Sentences; what has none of them for long is cut where it stands."""
    most = MOST - OVERLAP
    for sentence in _SENTENCE.findall(text):
        yield from (sentence[at : at + most] for at in range(0, len(sentence), most))


def _end_of(text: str) -> str:
    """The last sentence, where it is short enough to be said twice."""
    sentences = [sentence for sentence in _SENTENCE.findall(text) if sentence.strip()]
    last = sentences[-1] if sentences else ""
    return last if len(last) <= OVERLAP else ""
