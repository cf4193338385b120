"""What the ground refuses, and what a caller may do next.

TicketsError
    IllegalStatus      the move is not legal from this status: read again, offer what is
    LeaseLost          another one owns the conversation now: keep silent
    MovedOn            the log went on since `if_last_seq`: show it, then ask again
    BadAttachment      not the sender's, or already sent: upload again
    WindowClosed       the channel takes no reply now: another way to reach the contact
    NotFailed          the message is on its way or arrived: nothing to send again
    NotMergeable       these two contacts cannot be one
    Blocked            the contact may not write
    InUse              something still stands on it: disable it instead
    AlreadyThere       another one has that name or address
"""


class TicketsError(Exception):
    """Anything that the ground refuses."""

    code = "invalid"


class IllegalStatus(TicketsError):
    code = "illegal_status"

    def __init__(self, move: str, status: str) -> None:
        super().__init__(f"{move} is not possible while the conversation is {status}")
        self.move, self.status = move, status


class LeaseLost(TicketsError):
    code = "lease_lost"


class MovedOn(TicketsError):
    code = "moved_on"

    def __init__(self, last_seq: int) -> None:
        super().__init__(f"the conversation has moved on to {last_seq}")
        self.last_seq = last_seq


class BadAttachment(TicketsError):
    code = "invalid"


class WindowClosed(TicketsError):
    code = "window_closed"


class NotFailed(TicketsError):
    code = "not_failed"


class NotMergeable(TicketsError):
    code = "not_mergeable"


class Blocked(TicketsError):
    code = "blocked"


class InUse(TicketsError):
    """Something still stands on it: disable it instead, or remove that first."""

    code = "in_use"


class FeedGone(TicketsError):
    """What lies after a place in the change feed is not known any more, or never was."""

    code = "gone"


class AlreadyThere(TicketsError):
    """It has a name or address that another one has."""

    code = "unique"
