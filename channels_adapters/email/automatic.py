"""Which mails no machine of ours may answer (RFC 3834, and what is found in the wild)."""

import re
from enum import StrEnum

from channels_adapters.email.headers import Headers

_SYSTEMS = {"mailer-daemon", "postmaster"}
_NO_REPLY = re.compile(r"(no|do-?not|donot|never)[._-]?reply\b.*|bounces?([+=._-].*)?")
_BULK = {"bulk", "junk", "list"}


class Machine(StrEnum):
    """By whom a mail was sent: a person (no value), a machine that answers, or one to many."""

    NONE = ""
    REPLY = "reply"  # a holiday note, an error report: for the one who wrote before
    BULK = "bulk"  # a list, a notice: people may want to read it


def sender_of(headers: Headers, address: str) -> Machine:
    """Whether a machine sent a mail from this address."""
    local = address.partition("@")[0]
    submitted = headers.first("auto-submitted").partition(";")[0].strip().lower()
    if submitted == "auto-replied" or headers.has("x-autoreply") or headers.has("x-autorespond"):
        return Machine.REPLY
    if headers.first("return-path") == "<>" or local in _SYSTEMS:
        return Machine.REPLY
    precedence = headers.first("precedence").strip().lower()
    if precedence == "auto_reply":
        return Machine.REPLY
    suppressed = headers.first("x-auto-response-suppress").strip().lower()
    if (
        submitted not in ("", "no")
        or precedence in _BULK
        or suppressed not in ("", "none")
        or headers.has("list-id")
        or _NO_REPLY.fullmatch(local)
    ):
        return Machine.BULK
    return Machine.NONE
