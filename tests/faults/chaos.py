"""Whoever kills gateways and restarts Redis while people talk."""

import asyncio
import random
from collections import Counter

from tests.bench.stacks import Product

GATEWAY_EVERY_S = 4.0
REDIS_EVERY_S = 9.0
REDIS_AWAY_S = 0.7


class Chaos:
    def __init__(self, product: Product, *, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._product = product
        self._random = random.Random(seed)

    async def run(self, seconds: float) -> None:
        """Rage for a while; everything runs again when it returns."""
        await asyncio.gather(self._kill_gateways(seconds), self._restart_redis(seconds))

    async def _kill_gateways(self, seconds: float) -> None:
        """One after the other, with SIGKILL; the next one only goes when the last is back."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        number = 0
        while loop.time() + GATEWAY_EVERY_S < end:
            await asyncio.sleep(GATEWAY_EVERY_S * self._random.uniform(0.7, 1.3))
            number = (number + 1) % len(self._product.processes)
            await asyncio.to_thread(self._kill_and_restart, number)
            self.done["gateway killed"] += 1

    def _kill_and_restart(self, number: int) -> None:
        product = self._product
        product.processes[number].kill()
        product.processes[number].wait()
        port = product.ports[number]
        product.processes[number] = product.start_gateway(port)
        product.wait_for(port, product.processes[number])

    async def _restart_redis(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        redis = self._product.servers.redis
        while loop.time() + REDIS_EVERY_S < end:
            await asyncio.sleep(REDIS_EVERY_S * self._random.uniform(0.7, 1.3))
            await asyncio.to_thread(redis.stop)
            await asyncio.sleep(REDIS_AWAY_S)
            await asyncio.to_thread(redis.start)
            self.done["redis restarted"] += 1
