"""Every way in which a frame can be wrong; none of them ends the console."""

import json
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents import frames
from tests.agents.conftest import OpenConsole
from tickets.models import Conversation, Message

ID = "019abcde-0000-7000-8000-000000000001"
MESSAGE = {"type": "message", "conversation": ID, "client_id": "c1", "text": "您好"}
JUDGED = {"type": "copilot_feedback", "conversation": ID, "client_id": "c1", "id": ID, "good": True}
COPILOT = {"type": "copilot", "conversation": ID, "client_id": "c1", "deed": "suggest"}

UNREADABLE = [
    "",
    "hello",
    "{",
    "[" * 20_000,
    "null",
    "1",
    '"message"',
    "[]",
    "{}",
    '{"type": null}',
    '{"type": 1}',
    '{"type": {}}',
    '{"type": "nothing"}',
    '{"type": "__class__"}',
    '{"type": "ping',
    '{"type": "read", "conversation": "' + ID + '", "seq": ' + "9" * 5000 + "}",
    '{"type": "read", "conversation": "' + ID + '", "seq": NaN}',
]

WRONG: list[tuple[dict[str, Any], str]] = [
    *(
        ({"type": type, **rest}, "invalid")
        for type, rest in [
            ("subscribe", {}),
            ("unsubscribe", {}),
            ("typing", {"on": True}),
            ("read", {"seq": 1}),
            ("take_over", {}),
            ("message", {"client_id": "c1", "text": "您好"}),
        ]
    ),
    *(
        ({"type": "subscribe", "conversation": value}, "invalid")
        for value in (None, 1, True, [], {}, [ID])
    ),
    *(
        ({"type": "subscribe", "conversation": value}, "not_found")
        for value in ("", "x", "x" * 5000, "\x00", "\ud800", "' OR 1=1 --", "1")
    ),
    *(
        ({"type": "subscribe", "conversation": ID, "after": value}, "invalid")
        for value in ("1", -1, 1.5, True, [], {}, 2**31, 2**63, 10**30)
    ),
    *(
        ({"type": "read", "conversation": ID, "seq": value}, "invalid")
        for value in (None, "1", -1, 1.5, False, [], 2**31)
    ),
    *(
        ({"type": "typing", "conversation": ID, "on": value}, "invalid")
        for value in (None, 1, "true", [])
    ),
    *(
        ({"type": "status", "status": value}, "invalid")
        for value in (None, "", "away", 1, [], {}, ["online"])
    ),
    ({"type": "status"}, "invalid"),
    ({"type": "status", "status": "break", "reason": 1}, "invalid"),
    ({"type": "status", "status": "break", "reason": "长" * 81}, "too_large"),
    *(
        (MESSAGE | {"client_id": value}, "invalid")
        for value in (None, "", 1, [], {}, "c" * 65, "a\x00b", "\ud800")
    ),
    *((MESSAGE | {"text": value}, "invalid") for value in (None, "", "  \n", "\x00", 1, [], {})),
    (MESSAGE | {"text": "x" * 20_001}, "too_large"),
    *((MESSAGE | {"note": value}, "invalid") for value in (None, 0, "no", [])),
    *((MESSAGE | {"identity": value}, "invalid") for value in (1, "x", [], {}, "x" * 5000)),
    *((MESSAGE | {"if_last_seq": value}, "invalid") for value in ("1", -1, 1.5, True, [], 2**31)),
    *(
        (MESSAGE | {"attachments": value}, "invalid")
        for value in ("x", 1, {}, ["x"], [1], [None], [[ID]], [ID, ""])
    ),
    (MESSAGE | {"attachments": [ID] * 11}, "too_large"),
    (MESSAGE | {"attachments": ["x"] * 10_000}, "too_large"),
    *(
        (COPILOT | {name: value}, "invalid")
        for name in ("deed", "language", "draft")
        for value in (1, [], {}, True)
    ),
    *((COPILOT | {name: "x" * 41}, "invalid") for name in ("deed", "language")),
    *((COPILOT | {"client_id": value}, "invalid") for value in (None, "", 1, "c" * 65)),
    (COPILOT | {"draft": "x" * 20_001}, "too_large"),
    (COPILOT | {"conversation": "x"}, "not_found"),
    *((JUDGED | {"good": value}, "invalid") for value in ("yes", 1, {})),
    *((JUDGED | {"id": value}, "invalid") for value in (None, "x", 1)),
    ({name: value for name, value in JUDGED.items() if name != "good"}, "invalid"),
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_frame_is_invalid(text: str) -> None:
    with pytest.raises(frames.Invalid) as error:
        frames.read(text)

    assert error.value.code == "invalid"


@pytest.mark.parametrize(("fields", "code"), WRONG)
def test_a_frame_with_a_wrong_field_says_what_is_wrong(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(frames.Invalid) as error:
        frames.read(json.dumps(fields))

    assert (error.value.code, bool(error.value.detail)) == (code, True)


def test_an_error_names_the_frame_that_it_is_about() -> None:
    with pytest.raises(frames.Invalid) as error:
        frames.read(json.dumps(MESSAGE | {"text": 1}))

    assert (error.value.client_id, error.value.conversation) == ("c1", ID)


def test_a_whole_message_is_read() -> None:
    frame = frames.read(
        json.dumps(MESSAGE | {"note": True, "attachments": [ID], "if_last_seq": 3, "more": "yes"})
    )

    assert frame == frames.Write(
        conversation=uuid.UUID(ID),
        client_id="c1",
        text="您好",
        note=True,
        attachments=(uuid.UUID(ID),),
        identity=None,
        if_last_seq=3,
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_no_wrong_frame_ends_a_console_or_stores_anything(
    console: OpenConsole, agent: User, conversation: Conversation
) -> None:
    desk = await console(agent)

    for number, (fields, code) in enumerate(WRONG):
        await desk.send_json_to(fields)
        assert (await desk.until("error"))["code"] == code
        if number % 5 == 0:
            assert await desk.ask("pong", "ping") == {"type": "pong"}

    assert await Message.objects.acount() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
@pytest.mark.parametrize(
    "frame", [{"text_data": "长" * 22_000}, {"bytes_data": b"x" * 70_000}], ids=["text", "bytes"]
)
async def test_a_frame_over_64_kib_ends_it(
    console: OpenConsole, agent: User, frame: dict[str, Any]
) -> None:
    desk = await console(agent)

    await desk.send_to(**frame)

    assert await desk.close_code() == 1009


@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
async def test_ten_unreadable_frames_in_a_row_end_it(console: OpenConsole, agent: User) -> None:
    desk = await console(agent)

    for text in UNREADABLE[1:10]:
        await desk.send_to(text_data=text)
        await desk.until("error")
    await desk.ask("pong", "ping")
    for _ in range(9):
        await desk.send_to(bytes_data=b"\x00")
        await desk.until("error")
    await desk.send_to(bytes_data=b"\x00")

    assert await desk.close_code() == 4400
