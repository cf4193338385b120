"""One call of the API beside messages and files: a refused token is fetched anew, once."""

from collections.abc import Callable
from typing import TypeVar

from channels_adapters import http, tokens
from channels_adapters.protocol import HttpAdapter
from channels_adapters.wire import Action, HttpRequest, HttpResponse, Result

T = TypeVar("T")


def ask(
    adapter: HttpAdapter,
    build: Callable[[str], HttpRequest],
    read: Callable[[HttpResponse], T | Result],
    *,
    max_bytes: int = http.MAX_ANSWER,
) -> T | Result:
    """What `read` makes of the answer to what `build` makes of a token. Raises nothing."""
    return http.run(_ask(adapter, build, read, max_bytes))


async def _ask(
    adapter: HttpAdapter,
    build: Callable[[str], HttpRequest],
    read: Callable[[HttpResponse], T | Result],
    max_bytes: int,
) -> T | Result:
    found: T | Result = Result(Action.REFRESH_TOKEN)
    for _ in range(2):
        try:
            token = await tokens.current(adapter)
            found = read(await http.call(build(token), max_bytes=max_bytes))
        except tokens.TokenRefused as refusal:
            return refusal.result
        except http.NoAnswer as silence:
            return Result(Action.RETRY, code="no_answer", detail=str(silence))
        if not (isinstance(found, Result) and found.action == Action.REFRESH_TOKEN):
            break
        await tokens.drop(adapter, token)
    return found
