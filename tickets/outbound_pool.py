"""Connections to other people's servers, kept for the next request.

httpcore's own pool looks at each of its connections twice in every request, which with two
thousand answers on their way costs more than all the rest of them. Here a request takes the
connection that was used last, or a new one; how many there are does not matter.
"""

import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpcore

Place = tuple[bytes, bytes, int]  # scheme, host, port

MOST_RESTING = 200  # connections of one server that wait for the next request
REST_S = 4.0  # most servers close a silent one after 5 s or later


class Pool:
    """What httpx asks of a pool; it belongs to one event loop."""

    def __init__(self, ssl_context: ssl.SSLContext, backend: httpcore.AsyncNetworkBackend) -> None:
        self._ssl_context, self._backend = ssl_context, backend
        self._resting: defaultdict[Place, list[httpcore.AsyncHTTPConnection]] = defaultdict(list)
        self._busy: set[httpcore.AsyncHTTPConnection] = set()

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """The response, its body yet unread. Raises httpcore's errors."""
        origin = request.url.origin
        place = (origin.scheme, origin.host, origin.port)
        connection = await self._rested(place) or self._new(origin)
        self._busy.add(connection)
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._take_back(place, connection)
            raise
        body = _Body(response.stream, lambda: self._take_back(place, connection))
        return httpcore.Response(
            response.status, headers=response.headers, content=body, extensions=response.extensions
        )

    async def aclose(self) -> None:
        resting = [connection for those in self._resting.values() for connection in those]
        self._resting.clear()
        for connection in [*resting, *self._busy]:
            await _close(connection)

    async def __aenter__(self) -> "Pool":
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    def _new(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        return httpcore.AsyncHTTPConnection(
            origin,
            ssl_context=self._ssl_context,
            keepalive_expiry=REST_S,
            network_backend=self._backend,
        )

    async def _rested(self, place: Place) -> httpcore.AsyncHTTPConnection | None:
        """The one that was used last, if its server has not closed it."""
        resting = self._resting[place]
        while resting:
            connection = resting.pop()
            if not connection.is_closed() and not connection.has_expired():
                return connection
            await _close(connection)
        return None

    async def _take_back(self, place: Place, connection: httpcore.AsyncHTTPConnection) -> None:
        self._busy.discard(connection)
        resting = self._resting[place]
        is_good = connection.is_idle() and not connection.is_closed()
        if is_good and len(resting) < MOST_RESTING:
            resting.append(connection)
        else:
            await _close(connection)
        if resting[:1] and resting[0].has_expired():  # the one that nobody wanted for longest
            await _close(resting.pop(0))


async def _close(connection: httpcore.AsyncHTTPConnection) -> None:
    with anyio.CancelScope(shield=True):
        await connection.aclose()


class _Body:
    """A response's body; whoever has read it, or wants no more, gives the connection back."""

    def __init__(self, stream: Any, give_back: Any) -> None:
        self._stream, self._give_back = stream, give_back
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            await self._stream.aclose()
            await self._give_back()
