"""What a process does that takes messages in, where the queue or its workers are away.

A question that cannot be queued is answered here, with this process's own limits. What was queued
and yet lies unanswered is spoken for by the watch: it reads the rows, needs neither Redis nor a
worker, and runs where the contacts' sockets are, who would hear of another process's words late.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.utils import timezone
from kombu.exceptions import OperationalError

from ai_gateway import answering, loop, sweeping
from ai_gateway.intents.current import warm_up
from tickets.dbthreads import AWAY, keeping_connection

log = logging.getLogger(__name__)

REST_S = 2.0  # after the queue failed, how long we do not ask it
REMEMBERED_S = 15.0
OTHERS_LATER = timedelta(seconds=1)  # than our own: who took them in has their sockets

_rests_until = 0.0
_taken_in: deque[tuple[float, frozenset[int]]] = deque()
_watch: threading.Thread | None = None


def hand_over(queue: Callable[[], object], asked: dict[int, int]) -> None:
    """Have these answered: by conversation the message. `queue` queues them, where it can."""
    global _rests_until
    _remember(asked)
    if time.monotonic() >= _rests_until:
        try:
            queue()
            return
        except OperationalError as error:
            _rests_until = time.monotonic() + REST_S
            log.warning("there is no queue, this process answers itself: %s", error)
    for message_id in asked.values():
        name = f"answering message {message_id} without a queue"
        if not loop.start_if_room(partial(answering.answer, message_id), name):
            log.warning("no room for message %s: the watch answers it", message_id)


def start() -> None:
    """Begin to watch, once in a process, for as long as it lives."""
    global _watch
    if settings.AI_STANDBY and _watch is None:
        _watch = threading.Thread(target=_go_round, name="ai-standby", daemon=True)
        _watch.start()


def _go_round() -> None:
    warm_up()  # where Redis is away nobody else's model is found, and learning takes a second
    while True:
        time.sleep(sweeping.EVERY_S)
        try:
            keeping_connection(look)
        except AWAY as error:
            log.warning("nobody is spoken for, the database is away: %s", type(error).__name__)
        except Exception:  # an outermost edge: the watch must go on
            log.exception("a round of the watch failed")


def look() -> int:
    """One round; how many were answered."""
    now = timezone.now()
    own = _own()
    spoken = sweeping.answer_left_behind(now, among=own) if own else 0
    return spoken + sweeping.answer_left_behind(now - OTHERS_LATER)


def _remember(conversation_ids: Iterable[int]) -> None:
    _taken_in.append((time.monotonic(), frozenset(conversation_ids)))
    while _taken_in and _taken_in[0][0] < time.monotonic() - REMEMBERED_S:
        _taken_in.popleft()


def _own() -> frozenset[int]:
    """The conversations in which this process took something in a moment ago."""
    since = time.monotonic() - REMEMBERED_S
    return frozenset().union(*(ids for at, ids in list(_taken_in) if at >= since))
