"""NX-05: 50 visitors, 10 agents, 10 000 messages, and everything that can break does.

A proxy drops, delays, duplicates and cuts; gateways are killed and Redis is restarted; the
channel layer holds one message a socket. At the end each client's ordered list equals the
database: nothing lost, nothing doubled, nothing in another place.
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.bench.stacks import Product, Servers
from tests.faults.chaos import Chaos
from tests.faults.clients import Agent, Client, Visitor
from tests.faults.proxy import Faults, Proxy

VISITORS = 50
EACH_VISITOR = 190
EACH_AGENT = 50
AGENTS = 10
PAUSE_S = (0.1, 0.25)  # between two messages of one person: some half a minute for all
MOST_UNDER_WAY = 4  # messages in a client's outbox, before it waits with the next
SETTLE_S = 45
SEED = 5

_ROWS = """
    SELECT c.public_id::text, m.seq, m.public_id::text, m.client_id, m.text, m.kind
      FROM tickets_message m JOIN tickets_conversation c ON c.id = m.conversation_id
     ORDER BY c.id, m.seq
"""


@dataclass(frozen=True)
class Row:
    conversation: str
    seq: int
    id: str
    client_id: str | None
    text: str
    kind: str


@pytest.fixture
def product() -> Iterator[Product]:
    """Two gateways on a database that is killed by nobody."""
    with (
        Servers(cores=(0, 1), durable=False) as servers,
        Product(servers, gateways=2, cores=(0, 1), CHANNEL_LAYER_CAPACITY="1") as product,
    ):
        yield product


class Story:
    """The people, and what they say to each other."""

    def __init__(self, port: int, seeded: dict[str, Any]) -> None:
        url = f"ws://127.0.0.1:{port}"
        self.visitors = [Visitor(f"{url}/ws/chat/{seeded['inbox']}/") for _ in range(VISITORS)]
        self.agents = [
            Agent(
                f"{url}/ws/console/",
                {"Cookie": f"sessionid={cookie}", "Origin": f"http://127.0.0.1:{port}"},
            )
            for cookie in seeded["sessions"]
        ]

    @property
    def clients(self) -> list[Client]:
        return [*self.visitors, *self.agents]

    async def tell(self) -> None:
        """Everybody writes what they have to write; returns when all is in the outboxes."""
        async with asyncio.TaskGroup() as group:
            for number, visitor in enumerate(self.visitors):
                group.create_task(self._visit(number, visitor))
            for number, agent in enumerate(self.agents):
                group.create_task(self._serve(number, agent))

    async def _visit(self, number: int, visitor: Visitor) -> None:
        for count in range(EACH_VISITOR):
            await visitor.say(f"访客{number} 第{count}句")
            await room_in(visitor)

    async def _serve(self, number: int, agent: Agent) -> None:
        mine = self.visitors[number::AGENTS]
        for count in range(EACH_AGENT):
            visitor = mine[count % len(mine)]
            while visitor.conversation is None:
                await asyncio.sleep(0.1)
            if visitor.conversation not in agent.logs:
                await agent.watch(visitor.conversation)
            await agent.reply(visitor.conversation, f"客服{number} 第{count}句")
            await room_in(agent)


async def room_in(client: Client) -> None:
    """Pause as people do, and longer where much is under way."""
    await asyncio.sleep(random.uniform(*PAUSE_S))
    while len(client.outbox) >= MOST_UNDER_WAY:
        await asyncio.sleep(0.05)


def rows(product: Product) -> list[Row]:
    with psycopg.connect(product.environment["DATABASE_URL"]) as connection:
        return [Row(*row) for row in connection.execute(_ROWS)]


def differences(story: Story, stored: list[Row]) -> list[str]:
    """Where a client's list is not that of the database, or a message is not there once."""
    found = []
    for number, visitor in enumerate(story.visitors):
        log = [row for row in stored if row.conversation == visitor.conversation]
        if visitor.log.in_order() != [row.id for row in log if row.kind != "note"]:
            found.append(f"visitor {number} has {len(visitor.log.lines)} of {len(log)}")
        agent = story.agents[number % AGENTS]
        if agent.logs[visitor.conversation or ""].in_order() != [row.id for row in log]:
            found.append(f"the agent of visitor {number} has not {len(log)}")
        if [row.seq for row in log] != list(range(1, len(log) + 1)):
            found.append(f"the numbers of visitor {number} have a gap")
    return found


async def settle(story: Story, product: Product) -> list[str]:
    """Wait until all is calm; what is still different after `SETTLE_S`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + SETTLE_S
    found = ["not asked yet"]
    while found and loop.time() < end:
        await asyncio.sleep(1)
        waiting = sum(len(client.outbox) for client in story.clients)
        found = [f"{waiting} messages in outboxes"] if waiting else []
        found = found or differences(story, await asyncio.to_thread(rows, product))
    return found


async def test_nothing_is_lost_and_nothing_doubled_whatever_breaks(product: Product) -> None:
    proxy = Proxy(product.ports, faults=Faults(), seed=SEED)
    chaos = Chaos(product, seed=SEED)
    async with AsyncExitStack() as stack:
        story = Story(await proxy.start(), product.seeded)
        stack.push_async_callback(proxy.stop)
        running = [asyncio.create_task(client.run()) for client in story.clients]
        for task in running:
            stack.callback(task.cancel)

        telling = asyncio.create_task(story.tell())
        while not telling.done():
            await chaos.run(10)
        await telling
        proxy.behave()
        left = await settle(story, product)

    stored = rows(product)
    spoken = {row.client_id: row.text for row in stored if row.client_id}
    written = {
        client_id: text
        for client in (*story.visitors, *story.agents)
        for client_id, text in client.written.items()
    }
    assert left == []
    assert spoken == written
    assert len(written) == VISITORS * EACH_VISITOR + AGENTS * EACH_AGENT == 10_000
    assert len([row for row in stored if row.client_id]) == 10_000
    assert min(proxy.done["drop"], proxy.done["duplicate"], proxy.done["delay"]) > 50
    assert min(proxy.done["cut"], chaos.done["gateway killed"], chaos.done["redis restarted"]) > 0
    assert [task for task in running if task.done() and not task.cancelled()] == []
