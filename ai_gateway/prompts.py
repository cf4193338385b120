"""From a conversation's log to a prompt, within a window."""

from collections.abc import Iterable, Sequence

from ai_gateway.protocol import Prompt, Role, Turn
from tickets.models import Attachment, Message

MAX_TURNS = 20
MAX_CHARS = 8_000


def text_of(message: Message) -> str:
    """What a machine that only reads gets of a message: its text, and what hangs on it by name.

    `attachments` are prefetched.
    """
    return "\n".join(filter(None, [message.text, *map(_named, message.attachments.all())]))


def _named(attachment: Attachment) -> str:
    return f"[{'图片' if attachment.is_image else '文件'}：{attachment.name}]"


def turns_of(messages: Iterable[Message]) -> tuple[Turn, ...]:
    """Messages that people and the bot wrote, oldest first, as turns."""
    return tuple(
        Turn(Role.CONTACT if message.kind == Message.Kind.INCOMING else Role.HOUSE, text)
        for message in messages
        if (text := text_of(message))
    )


def window(prompt: Prompt, *, max_turns: int = MAX_TURNS, max_chars: int = MAX_CHARS) -> list[Turn]:
    """The newest turns that fit, and the question, which always stands last.

    Turns of one side that follow each other become one: some servers insist on alternation.
    """
    kept: list[Turn] = []
    room = max_chars - len(prompt.text)
    for turn in reversed(prompt.history[-max_turns:] if max_turns > 0 else ()):
        room -= len(turn.text)
        if room < 0:
            break
        kept.insert(0, turn)
    return _merged([*kept, Turn(Role.CONTACT, prompt.text)])


def _merged(turns: Sequence[Turn]) -> list[Turn]:
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            merged[-1] = Turn(turn.role, f"{merged[-1].text}\n{turn.text}")
        else:
            merged.append(turn)
    return merged
