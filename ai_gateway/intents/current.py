"""The classifier of the database's intents, learned once and kept until one of them changes.

Learning takes a second of pure Python: one process does it, and puts the model into the cache,
where the others find it by what it was learned from.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from django.core.cache import cache as shared
from django.db import connection

from ai_gateway import kept
from ai_gateway.intents import classifier as learner
from ai_gateway.intents import features
from ai_gateway.intents.classifier import Classifier
from ai_gateway.intents.shipped import shipped
from ai_gateway.models import Intent

log = logging.getLogger(__name__)

KEPT_S = 30 * 24 * 3600
PAUSE_S = 0.001  # while learning beside others' work

kept.watch(Intent)
_learning = threading.Lock()
_kept: tuple[Any, Classifier] | None = None
_aside: threading.Thread | None = None


def current() -> Classifier:
    """One small query; read anew only after a change, by one thread.

    Where a model must be learned the former one serves meanwhile; only who has none waits.
    """
    global _kept
    version = _version()
    former = _kept
    if former and former[0] == version:
        return former[1]
    if not _learning.acquire(blocking=former is None):
        return former[1] if former else current()
    try:
        if _kept and _kept[0] == version:
            return _kept[1]
        examples = _examples()
        if found := _found(_key(examples)):
            _kept = (version, found)
            return found
        if former is None:
            _kept = (version, _learned(examples, pause_s=0.0))
            return _kept[1]
        _learn_aside(version, examples)
        return former[1]
    finally:
        _learning.release()


def newest() -> Classifier:
    """As `current`, but waits until the last change is learned."""
    model = current()
    while _aside and _aside.is_alive():
        _aside.join()
        model = current()
    return model


def warm_up() -> None:
    """Have the model at hand before the first question; never raises."""
    try:
        current()
    except Exception:  # an outermost edge: the first question will say what is wrong
        log.warning("intents could not be learned", exc_info=True)
    finally:
        connection.close()


def of_database_or_shipped() -> Classifier:
    """As `newest`; where the database has no intents at all, of those that come with Kefu."""
    return newest() if Intent.objects.exists() else _of_shipped()


@cache
def _of_shipped() -> Classifier:
    return Classifier({intent.key: intent.examples for intent in shipped()})


def _version() -> Any:
    return kept.version_of(Intent._meta.db_table)


def _examples() -> Mapping[str, Sequence[str]]:
    return dict(Intent.objects.enabled().order_by("key").values_list("key", "examples"))


# Learning -------------------------------------------------------------------------------------


def _learn_aside(version: Any, examples: Mapping[str, Sequence[str]]) -> None:
    """In a thread of its own, one at a time."""
    global _aside
    if _aside and _aside.is_alive():
        return

    def learn() -> None:
        global _kept
        _kept = (version, _learned(examples, pause_s=PAUSE_S))

    _aside = threading.Thread(target=learn, name="learning-intents", daemon=True)
    _aside.start()


def _learned(examples: Mapping[str, Sequence[str]], *, pause_s: float) -> Classifier:
    model = Classifier(examples, pause_s=pause_s)
    try:
        shared.set(_key(examples), model.dump(), KEPT_S)
    except Exception as error:  # whatever the cache is made of: others learn for themselves
        log.warning("the learned intents could not be shared: %s", error)
    return model


def _found(key: str) -> Classifier | None:
    """What another process has learned."""
    try:
        dumped = shared.get(key)
        return Classifier.load(dumped) if dumped else None
    except Exception as error:  # whatever the cache is made of, and holds
        log.warning("learned intents could not be read: %s", error)
        return None


def _key(examples: Mapping[str, Sequence[str]]) -> str:
    """Changes with the examples, and with how they are learned."""
    known = json.dumps([*examples.items()], ensure_ascii=False).encode()
    return f"ai-intents:{hashlib.sha256(_method() + known).hexdigest()}"


@cache
def _method() -> bytes:
    paths = (Path(learner.__file__), Path(features.__file__), features.CONCEPTS)
    return b"".join(path.read_bytes() for path in paths)
