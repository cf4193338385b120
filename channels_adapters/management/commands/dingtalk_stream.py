import asyncio
import contextlib
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from channels_adapters.dingtalk import stream
from tickets.models import Inbox


class Command(BaseCommand):
    help = "Receive DingTalk's messages by Stream mode: no public address is needed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--inbox",
            action="append",
            metavar="KEY",
            help="an inbox's key, several times for several; default: every enabled DingTalk inbox",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        ids = [inbox.pk for inbox in _inboxes(options["inbox"])]
        asyncio.run(_serve_all(ids))


def _inboxes(keys: list[str] | None) -> list[Inbox]:
    """Those to listen for. Raises CommandError where one is missing or lacks a credential."""
    inboxes = Inbox.objects.enabled().filter(type=Inbox.Type.DINGTALK)
    if not keys:
        ready = [one for one in inboxes if not _lacks(one)]
        if not ready:
            raise CommandError("no enabled DingTalk inbox has app_key and app_secret")
        return ready
    found = {one.key: one for one in inboxes.filter(key__in=keys)}
    for key in keys:
        if key not in found:
            raise CommandError(f"{key}: no enabled DingTalk inbox has this key")
        if lacking := _lacks(found[key]):
            raise CommandError(f"{key}: not set: {', '.join(lacking)}")
    return list(found.values())


def _lacks(inbox: Inbox) -> list[str]:
    return [name for name in ("app_key", "app_secret") if not inbox.credentials.get(name)]


async def _serve_all(ids: list[int]) -> None:
    """Until every inbox is disabled, or a signal ends it."""
    work = asyncio.gather(*(stream.serve(pk) for pk in ids))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work
