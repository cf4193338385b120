"""A cheap guard in CI: CPU a message and memory a connection, with margins for a busy machine.

The targets (docs/benchmarks.md) are measured by `make bench`; this only notices when the hot
path got several times dearer, as by a query for each message.
"""

from collections.abc import Iterator

import psutil
import pytest

from tests.bench.runs import LoadProcess
from tests.bench.stacks import Product, Servers

# A busy machine makes small batches, and each batch has a price of its own: many times the
# target (200 µs) would already be noise there. The textbook's message costs 3 000 µs.
MOST_US = 2_000
MOST_KB = 60  # the target is 25 at 5 000 sockets; at 500 the process's own growth counts too
SOCKETS = 500


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with (
        Servers(cores=(0,), durable=False) as servers,
        Product(servers) as product,
    ):
        yield product


@pytest.mark.skipif((psutil.cpu_count() or 1) < 2, reason="needs a core for the load")
def test_a_durable_message_costs_little_and_so_does_a_connection(product: Product) -> None:
    with LoadProcess(product, sockets=100, writers=100, seconds=3, in_flight=64) as load:
        measured = load.measure()
    before_kb = product.meter().rss_kb()
    with LoadProcess(product, sockets=SOCKETS, writers=0, seconds=0, agents=False):
        each_kb = (product.meter().rss_kb() - before_kb) / SOCKETS

    assert measured.result["acked"] == measured.result["pushed"] == measured.result["sent"] > 0
    assert measured.us["total"] <= MOST_US
    assert each_kb <= MOST_KB
