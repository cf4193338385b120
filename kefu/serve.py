"""The roles `web` and `gateway`: Kefu's ASGI application on uvicorn, with its sockets set right.

`python -m kefu.serve --host 0.0.0.0 --port 8000`; `kefu.up` hands over a socket (`--fd`).
"""

import argparse
import asyncio
import os
import resource
import socket

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kefu.embedded_process import EmbeddedError

HEAD_TIMEOUT_S = 20.0  # from the connection to the end of its first request's head
LARGEST_FRAME = 64 * 1024  # bytes; a larger one closes its socket with 1009


def listening_socket(host: str, port: int) -> socket.socket:
    """Bound and listening; EmbeddedError, one line, where that cannot be."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise EmbeddedError(f"Cannot listen on {host} port {port} (PORT): {reason}.") from error
    return listener


def allow_many_sockets() -> None:
    """The soft limit of open files is often 1024; ours to raise up to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return  # macOS has a further limit of its own; the soft one stays then


class ImpatientProtocol(H11Protocol):
    """Closes connections that never say what they want: each would hold a place for ever.

    uvicorn's own timer is for the silence between two requests; any byte ends it.
    """

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_awaiting()
        elif self._late is None:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_awaiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._late = self.loop.call_later(HEAD_TIMEOUT_S, self.timeout_keep_alive_handler)

    def _stop_awaiting(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")))
    parser.add_argument("--fd", type=int, help="an inherited socket that listens already")
    options = parser.parse_args()
    allow_many_sockets()
    listener = (
        listening_socket(options.host, options.port)
        if options.fd is None
        else socket.socket(fileno=options.fd)
    )
    server = uvicorn.Server(configuration())
    from ai_gateway import standby  # settings named first

    standby.start()
    server.run(sockets=[listener])


def configuration() -> uvicorn.Config:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kefu.settings")
    from kefu.asgi import application  # settings named first; slow import

    return uvicorn.Config(
        application,
        loop="uvloop",
        http=ImpatientProtocol,
        ws="websockets-sansio",
        ws_max_size=LARGEST_FRAME,
        ws_per_message_deflate=False,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        lifespan="off",
        log_config=None,  # Django's logging stays
        access_log=False,
        server_header=False,
        proxy_headers=False,  # kefu decides by TRUSTED_PROXIES
        timeout_graceful_shutdown=4,
    )


if __name__ == "__main__":
    main()
