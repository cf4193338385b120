"""A prompt on its way out, and the answer on its way back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ai_gateway import recent
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.guardrails import markup, messages
from ai_gateway.guardrails.masking import Masker
from ai_gateway.guardrails.sensitive import Direction, Scan, Verdict, Words
from ai_gateway.protocol import Answer, EndpointConfig, Prompt, Role, Tell, Turn
from ai_gateway.services import sensitive_lists


async def guarded(prompt: Prompt, config: EndpointConfig) -> "Guarded":
    """The prompt as this endpoint may see it, and the way back for its answer.

    The words are a second old at most. Raises EndpointError (CONTENT_FILTER) where a list
    blocks the question.
    """
    return guard(prompt, await _words.fetch(""), config.mask_personal_data)


def _read(_key: str) -> Words:
    return sensitive_lists.current()


_words = recent.Recent(_read)


def guard(prompt: Prompt, words: Words, mask_personal_data: bool) -> "Guarded":
    """`guarded`, with the words at hand."""
    given = prompt.passed_on.get("messages") or ()
    turns = (turn.text for turn in prompt.history)
    masker = Masker(prompt.text, prompt.system, *turns, *messages.texts_of(given))
    question = words.judge(prompt.text, Direction.IN)
    _refuse(question, ErrorKind.CONTENT_FILTER)

    def outgoing(text: str) -> str:
        return masker.mask(text) if mask_personal_data else text

    def of_contact(text: str) -> str:
        return outgoing(words.judge(text, Direction.IN).text)

    def turn_of(turn: Turn) -> Turn:
        by_contact = turn.role == Role.CONTACT
        return Turn(turn.role, of_contact(turn.text) if by_contact else outgoing(turn.text))

    def of_message(role: str, text: str) -> str:
        return of_contact(text) if role == "user" else outgoing(text)

    passed_on = prompt.passed_on
    if given:
        passed_on = {**passed_on, "messages": messages.changed(given, of_message)}
    going = replace(
        prompt,
        text=outgoing(question.text),
        history=tuple(map(turn_of, prompt.history)),
        system=outgoing(prompt.system),
        passed_on=passed_on,
    )
    return Guarded(going, words, masker, question.wants_handoff)


@dataclass(frozen=True)
class Guarded:
    """`prompt` is what the endpoint is asked."""

    prompt: Prompt
    _words: Words
    _masker: Masker
    _wants_handoff: bool

    def tell(self, tell: Tell) -> Tell:
        """Tells what may be seen of a growing text.

        Raises EndpointError (BLOCKED) from within the backend once a list blocks it:
        nobody needs the rest.
        """
        scan = Scan(self._words, Direction.OUT)

        def tell_guarded(text: str) -> None:
            shown = self._masker.unmask(markup.plain(text, growing=True), growing=True)
            verdict = scan.judge(shown)
            _refuse(verdict, ErrorKind.BLOCKED)
            tell(verdict.text)

        return tell_guarded

    def answer(self, answer: Answer) -> Answer:
        """The whole answer as it may be seen. Raises EndpointError (BLOCKED)."""
        verdict = self._judged(answer.text)
        _refuse(verdict, ErrorKind.BLOCKED)
        suggested = [self._judged(text) for text in answer.suggested]
        return replace(
            answer,
            text=verdict.text.strip(),
            slots=self._resolved(answer.slots),
            wants_handoff=answer.wants_handoff or verdict.wants_handoff or self._wants_handoff,
            citations=tuple(map(self._citation, answer.citations)),
            suggested=tuple(s.text for s in suggested if s.text and not s.blocked),
            tools=tuple(replace(t, arguments=self._resolved(t.arguments)) for t in answer.tools),
        )

    def _judged(self, text: str) -> Verdict:
        shown = self._masker.unmask(markup.plain(text))
        return self._words.judge(shown, Direction.OUT)

    def _citation(self, citation: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its texts plain; without an address that no link may lead to."""
        return {
            name: markup.plain(value) if isinstance(value, str) else value
            for name, value in citation.items()
            if name != "url" or markup.is_good_target(str(value))
        }

    def _resolved(self, value: Any) -> Any:
        """Values that the endpoint reports, with the data in place again."""
        if isinstance(value, str):
            return self._masker.unmask(value)
        if isinstance(value, Mapping):
            return {name: self._resolved(inner) for name, inner in value.items()}
        return [self._resolved(inner) for inner in value] if isinstance(value, list) else value


def _refuse(verdict: Verdict, kind: ErrorKind) -> None:
    if verdict.blocked:
        code = f"sensitive_word: {verdict.blocked}"
        raise EndpointError(kind, code, verdict.blocked)
