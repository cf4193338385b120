"""Text that came in pieces, made fit to be stored and shown."""


def clean(text: str) -> str:
    """Surrogate halves that came apart are joined, lone ones replaced, NUL is removed."""
    if text.isascii():
        return text.replace("\0", "")
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined.replace("\0", "")


class Pieces:
    """Deltas joined as they come; half a surrogate pair waits for its other half."""

    def __init__(self) -> None:
        self.text = ""
        self._half = ""

    def add(self, delta: str) -> None:
        delta = self._half + delta
        self._half = ""
        if delta and "\ud800" <= delta[-1] <= "\udbff":
            self._half, delta = delta[-1], delta[:-1]
        self.text += clean(delta)

    def end(self) -> str:
        self.text += clean(self._half)
        self._half = ""
        return self.text


def without_thinking(text: str) -> str:
    """The text without `<think>…</think>` at its start; nothing while that is still open."""
    start = text.lstrip()
    if not start.startswith("<think>"):
        return "" if start and "<think>".startswith(start) else text
    _, closed, rest = start.partition("</think>")
    return rest.lstrip() if closed else ""


def without_mark(text: str, mark: str) -> str:
    """The text without a mark that is meant for us, and without a beginning of one at its end."""
    text = text.replace(mark, "")
    for length in range(min(len(mark) - 1, len(text)), 0, -1):
        if text.endswith(mark[:length]):
            return text[:-length].rstrip()
    return text.rstrip() if mark else text
