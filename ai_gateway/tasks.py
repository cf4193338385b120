"""The bot's work and the copilot's, off the queues."""

import logging
from collections.abc import Sequence
from typing import Any

from asgiref.sync import async_to_sync
from celery import shared_task
from celery.signals import worker_ready, worker_shutdown
from django.utils import timezone
from kombu.exceptions import OperationalError

from ai_gateway import answering, copilot_socket, embeddings, loop, shadowing, sweeping
from ai_gateway.errors import EndpointError
from ai_gateway.intents.current import warm_up
from ai_gateway.models import Attempt, Endpoint
from ai_gateway.services import drills, feedback, threads
from tickets.events import CopilotAsked

log = logging.getLogger(__name__)


@shared_task(bind=True)
def answer_messages(self: Any, message_ids: Sequence[int]) -> None:
    """Answer each of these; returns once they are in hand, not when they are answered.

    Called as a plain function, or eagerly, it waits: there is no worker's loop then.
    """
    for message_id in message_ids:
        if self.request.called_directly or self.request.is_eager:
            async_to_sync(answering.answer_and_close)(message_id)
        else:
            loop.start(answering.answer(message_id), f"answering message {message_id}")


@shared_task(bind=True)
def suggest_to_agent(self: Any, asked: dict[str, Any]) -> None:
    """Answer an agent's wish, the fields of a CopilotAsked; returns as `answer_messages` does."""
    wish = CopilotAsked(**asked)
    if self.request.called_directly or self.request.is_eager:
        async_to_sync(copilot_socket.answer_and_close)(wish)
    else:
        loop.start(copilot_socket.answer(wish), f"a suggestion for {wish.conversation_id}")


@shared_task(bind=True)
def ask_shadows(self: Any, reply_id: int) -> None:
    """Ask the candidates beside a reply that was spoken; returns as `answer_messages` does."""
    if self.request.called_directly or self.request.is_eager:
        async_to_sync(shadowing.and_close)(shadowing.go_along(reply_id))
    else:
        loop.start(shadowing.go_along(reply_id), f"the shadows of message {reply_id}")


@shared_task(bind=True)
def ask_shadows_of_handoff(self: Any, conversation_id: int) -> None:
    """Ask the candidates beside a hand-off; returns as `answer_messages` does."""
    work = shadowing.go_along_handoff(conversation_id)
    if self.request.called_directly or self.request.is_eager:
        async_to_sync(shadowing.and_close)(work)
    else:
        loop.start(work, f"the shadows of a hand-off in {conversation_id}")


@shared_task(autoretry_for=[EndpointError], retry_backoff=30, max_retries=4)
def tell_feedback(attempt_id: int) -> None:
    """What people think of an answer, to its vendor: always as it stands now."""
    attempt = Attempt.objects.filter(pk=attempt_id).first()
    if attempt:
        endpoint = Endpoint.objects.enabled().filter(slug=attempt.endpoint).first()
        async_to_sync(feedback.tell_vendor_and_close)(attempt, endpoint)


def tell_soon(attempt_id: int) -> None:
    """Queue it. It is kept already; the vendor may miss it while there is no queue."""
    try:
        tell_feedback.delay(attempt_id)
    except OperationalError:
        log.warning("the vendor does not hear of call %s: no queue", attempt_id)


@shared_task
def answer_unanswered() -> None:
    """What no `ai` worker has answered in time, also when none lives."""
    sweeping.answer_left_behind(timezone.now())


@shared_task
def embed_articles() -> None:
    """Vectors for the passages that have none yet; nothing to do without such an endpoint."""
    async_to_sync(embeddings.embed_new_and_close)()


@shared_task
def forget_threads() -> None:
    """What vendors remember of conversations that rest."""
    threads.forget_expired(timezone.now())


@shared_task
def end_drills() -> None:
    """Those whose time is over get their report."""
    drills.finish_overdue(now=timezone.now())


@worker_ready.connect
def _know_intents(**_: Any) -> None:
    warm_up()


@worker_shutdown.connect
def _finish_what_was_begun(**_: Any) -> None:
    loop.drain()
