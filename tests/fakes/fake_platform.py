"""The platform of `channels_adapters.testing.FakeChannel`, on a real socket."""

import asyncio
import itertools
from typing import Any

from tests.fakes.server import Behaviour, FakeServer, Request, as_json


class FakePlatform(FakeServer):
    """Gives tokens that it can call back, and takes messages; `will` decides what it says to them.

    `sent` is what it showed to people, `tokens` how many it gave.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sent: list[dict[str, Any]] = []
        self.tokens = 0
        self.shelf: dict[str, Behaviour] = {}  # path -> a file or a profile
        self.token_lives_s = 7200.0
        self.token_answer: Behaviour | None = None  # instead of a token
        self.answers: dict[str, Behaviour] = {}  # path -> what it says there, without a token
        self._ids = itertools.count(1)
        self.will(self.take())

    def behaviour_for(self, request: Request) -> Behaviour:
        if request.path == "/token":
            self.tokens += 1
            if self.token_answer:
                return self.token_answer
            return as_json({"token": f"t{self.tokens}", "expires_in": self.token_lives_s})
        if request.path in self.answers:
            return self.answers[request.path]
        if request.headers.get("authorization") != f"Bearer t{self.tokens}":
            return as_json({"error": "refresh_token"}, 401)
        if request.path in self.shelf:
            return self.shelf[request.path]
        return self.next_behaviour()

    def call_back_token(self) -> None:
        """The tokens given so far are worth nothing any more."""
        self.tokens += 1

    def take(self) -> Behaviour:
        """Show it to the person, and say by which id."""

        async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
            self.sent.append(request.body)
            await as_json({"id": f"m{next(self._ids)}"})(request, writer)

        return behave

    def take_and_hang_up(self) -> Behaviour:
        """Show it to the person, and never say so."""

        async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
            self.sent.append(request.body)
            writer.transport.abort()

        return behave

    def refuse(self, action: str, **more: Any) -> Behaviour:
        return as_json({"error": action, **more}, 400)

    @property
    def texts(self) -> list[str]:
        return [one["text"] for one in self.sent]
