"""The greeting of a person who has just entered, in the 20 seconds that the platform gives (§3.2).

It costs nothing of the five messages. The platform hands out a code only where it has not
greeted for two days.
"""

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from django.utils import translation

from channels_adapters import registry
from channels_adapters.wecom_kf.asking import ask
from channels_adapters.wire import Action
from tickets.models import Inbox

if TYPE_CHECKING:
    from channels_adapters.wecom_kf.adapter import WeComKf

log = logging.getLogger(__name__)

GOOD_FOR = timedelta(seconds=20)
LANGUAGE = "zh-hans"


def text_of(inbox: Inbox) -> str:
    """The inbox's own words, or the web page's."""
    with translation.override(LANGUAGE):
        return str(inbox.setting("welcome") or translation.gettext("您好，有什么可以帮您？"))


def greet(inbox: Inbox, code: str, *, entered_at: datetime, now: datetime) -> bool:
    """Say welcome, once; False where it is too late or the platform does not want it."""
    if now - entered_at > GOOD_FOR:
        return False
    adapter = cast("WeComKf", registry.adapter_for(inbox))
    text = text_of(inbox)
    answer = ask(
        adapter, lambda token: adapter.welcome_request(code, text, token), adapter.classify
    )
    if answer.action != Action.OK:
        log.warning("%s: no welcome: %s %s", inbox.key, answer.code, answer.detail)
    return answer.action == Action.OK
