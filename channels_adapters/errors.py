"""What a channel's door and a platform's answer can be, beside well.

HookRefused            nothing is stored, the platform is told 400, 401 or 403
  BadMessage           of a caller who proved who it is: it is told what is wrong
NotConfigured          the inbox lacks what the call needs: the admin is told which
WindowClosed           nothing can be said to this person until they write again
"""

from enum import StrEnum


class Reason(StrEnum):
    """The one defect of a request that is not trusted."""

    MISSING_SIGNATURE = "missing_signature"
    BAD_SIGNATURE = "bad_signature"
    BAD_TOKEN = "bad_token"  # noqa: S105  no secret
    STALE = "stale"
    REPLAYED = "replayed"
    BAD_CIPHERTEXT = "bad_ciphertext"
    WRONG_RECEIVER = "wrong_receiver"
    MALFORMED = "malformed"
    UNSAFE_XML = "unsafe_xml"
    NOT_CONFIGURED = "not_configured"


STATUS = {Reason.MALFORMED: 400, Reason.UNSAFE_XML: 400, Reason.MISSING_SIGNATURE: 401}


class HookRefused(Exception):
    """A request that did not come from the platform, or is not fit to be read."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail

    @property
    def status(self) -> int:
        """The HTTP status it is answered with; nothing was stored."""
        return STATUS.get(self.reason, 403)


class BadMessage(HookRefused):
    """An authentic request that breaks the protocol; `detail` names where, and what is allowed."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.MALFORMED, detail)


class NotConfigured(Exception):
    """The inbox has no credential of this name."""

    def __init__(self, *names: str) -> None:
        super().__init__(f"not set: {', '.join(names)}")
        self.names = names


class WindowClosed(Exception):
    """The platform gave us a way to answer, and it has ended."""
