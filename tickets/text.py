"""Text as it may be stored: everything a person can write, and nothing a database refuses."""


def clean(text: str) -> str:
    """Without NUL, which PostgreSQL has no place for; a lone surrogate becomes U+FFFD."""
    text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
