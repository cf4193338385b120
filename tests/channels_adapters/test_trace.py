"""NX-06: the way of a message, hop by hop."""

from itertools import pairwise

import pytest
from django.utils import timezone

from ai_gateway.models import Attempt
from channels_adapters import delivery
from tests import factories
from tickets import trace, tracing
from tickets.envelopes import Author
from tickets.models import Envelope, Message
from tickets.services import conversations, messages

pytestmark = pytest.mark.django_db(transaction=True)


def stages(message: Message) -> list[str]:
    return [hop.stage for hop in trace.hops_of(Message.objects.get(pk=message.pk))]


def test_from_the_platform_to_the_receipt_every_hop_is_there_and_in_order(
    inbox_of,
    written,
    platform,
    agent,
):
    inbox = inbox_of()
    with tracing.following("trace-of-hook-1"):
        conversation = written(inbox)
    question = conversation.messages.get(kind="incoming")
    Attempt.objects.create(
        conversation=conversation, message=question, endpoint="kouzi-api", outcome="failed",
        error_kind="timeout", latency_ms=40, rule="退货", created_at=timezone.now(),
    )  # fmt: skip
    reply = conversations.post_reply(
        conversation, author=Author.agent(agent.pk), text="在的", now=timezone.now()
    )
    delivery.deliver(inbox, now=timezone.now())
    messages.mark_delivered(Message.objects.get(pk=reply.pk))
    messages.mark_read(Message.objects.get(pk=reply.pk))

    assert stages(question) == ["accepted", "stored", "ai:kouzi-api"]
    way = ["delivered", "delivery", "lined_up", "read", "sent", "stored"]
    assert sorted(stages(reply)) == way
    assert stages(reply)[0] == "stored"
    for message in (question, reply):
        hops = trace.hops_of(Message.objects.get(pk=message.pk))
        assert all(one.at <= other.at for one, other in pairwise(hops))
        assert all(hop.ms is None or hop.ms >= 0 for hop in hops)
    assert question.trace == Envelope.objects.get().trace != ""
    assert reply.trace


def test_what_went_wrong_is_in_its_hop(inbox_of, written, platform, agent):
    inbox = inbox_of()
    conversation = written(inbox)
    reply = conversations.post_reply(
        conversation, author=Author.agent(agent.pk), text="在的", now=timezone.now()
    )
    platform.will(platform.refuse("permanent", code="40003"))
    delivery.deliver(inbox, now=timezone.now())

    failed = [h for h in trace.hops_of(Message.objects.get(pk=reply.pk)) if h.result == "failed"]
    assert {hop.stage for hop in failed} == {"delivery", "failed"}
    assert {hop.code for hop in failed} == {"40003"}


def test_it_is_read_by_whoever_may_read_the_message(client, web_inbox, agent):
    conversation = factories.conversation(factories.identity(web_inbox))
    message = conversation.messages.get()
    url = f"/api/v1/conversations/{conversation.public_id}/messages/{message.public_id}/trace/"
    assert client.get(url).status_code == 401
    client.force_login(factories.user(teams=[factories.team()]))
    assert client.get(url).status_code == 404

    client.force_login(agent)
    answer = client.get(url).json()

    assert answer["message"] == str(message.public_id)
    assert [hop["stage"] for hop in answer["hops"]] == ["stored"]
    elsewhere = url.replace(str(message.public_id), str(conversation.public_id))
    assert client.get(elsewhere).status_code == 404


def test_the_page_of_a_message_tells_its_way_in_words(client, inbox_of, written, platform):
    inbox = inbox_of()
    message = conversations.post_reply(
        written(inbox), author=Author.agent(None), text="在的", now=timezone.now()
    )
    platform.will(platform.refuse("permanent", code="40003"))
    delivery.deliver(inbox, now=timezone.now())
    boss = factories.user("boss", role="admin")
    boss.is_superuser = True
    boss.save()
    client.force_login(boss)

    page = client.get(f"/admin/tickets/message/{message.pk}/change/").content.decode()

    for words in ("投递记录", "已存入会话", "交给平台 失败 40003", "未送达 失败 40003"):
        assert words in page
