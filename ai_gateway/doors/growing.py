"""An answer as it grows: the texts so far, at most twenty a second, and at last the whole."""

import asyncio
from collections.abc import AsyncGenerator

from ai_gateway import asking, database, registry
from ai_gateway.asking import Asked, Said, SoFar

TICK_S = 0.05
SILENCE_S = 15.0  # below the 30 to 60 s after which proxies close what is silent


async def grow(asked: Asked) -> AsyncGenerator[SoFar | Said | None]:
    """None each SILENCE_S without a word. Closed early, it calls the question off.

    Raises what `asking.ask` raises.
    """
    heard: list[SoFar] = []
    changed = asyncio.Event()

    def tell(so_far: SoFar) -> None:
        heard[:] = [so_far]
        changed.set()

    task = asyncio.create_task(asking.ask(asked, tell))
    task.add_done_callback(lambda _done: changed.set())
    try:
        while not task.done():
            if not await _within(changed, SILENCE_S):
                yield None
                continue
            changed.clear()
            if heard and not task.done():
                yield heard.pop()
                await asyncio.wait({task}, timeout=TICK_S)
        yield task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
        await settle()


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def settle() -> None:
    """On an event loop that ends with this question: close what it held open."""
    if not database.is_own(asyncio.get_running_loop()):
        await registry.close()
