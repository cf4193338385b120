"""Chromium and a live site, once for all browser tests; each has its own contexts and inbox."""

import itertools
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.hands import log_in, write_as_visitor
from tests.browser.site import Site

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 15_000
_numbers = itertools.count(1)
expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Once more after a failure: a browser on a busy machine stalls. The summary counts reruns."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The real application with its team (aftersale), agents (xiaofang, lilei) and admin (boss)."""
    site = Site(tmp_path_factory.mktemp("site"))
    try:
        site.open()
        yield site
    finally:
        site.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        warnings.warn(
            "BROWSER TESTS SKIPPED: install Chromium (apt-get install chromium).", stacklevel=1
        )
        pytest.skip("no Chromium at /usr/bin/chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts: each is another person, or another device."""
    made: list[BrowserContext] = []

    def make(**options: object) -> BrowserContext:
        options = {"locale": "zh-CN", "timezone_id": "Asia/Shanghai", **options}
        made.append(chromium.new_context(**options))
        made[-1].set_default_timeout(PATIENCE_MS)
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def inbox(site: Site) -> str:
    """The key of a web inbox that no other test uses."""
    return str(site.do("inbox", name="清禾官方客服", key=f"shop-{next(_numbers)}"))


@pytest.fixture
def visitor(site: Site, inbox: str, context: Callable[..., BrowserContext]) -> Callable[..., Page]:
    """Opens the chat page as a new visitor; an error on the page fails the test at its end."""

    def enter(query: str = "", **options: object) -> Page:
        page = context(**options).new_page()
        page.on("pageerror", lambda error: pytest.fail(f"error on the page: {error}"))
        page.goto(f"{site.url}/chat/{inbox}/{query}")
        return page

    return enter


@pytest.fixture
def begun(visitor: Callable[..., Page]) -> Callable[[str], Page]:
    """A new visitor whose first words are stored."""

    def begin(text: str) -> Page:
        page = visitor()
        write_as_visitor(page, text)
        on_its_way = re.compile("queued|sending")
        expect(page.locator(".msg-own .state").last).not_to_have_attribute("data-state", on_its_way)
        return page

    return begin


@pytest.fixture
def console(site: Site, context: Callable[..., BrowserContext]) -> Callable[..., Page]:
    """Logs an agent in and opens their console; an error on the page fails the test at its end."""

    def enter(
        path: str = "/console/?bucket=all", agent: str = "xiaofang", **options: object
    ) -> Page:
        page = context(**{"viewport": {"width": 1440, "height": 900}, **options}).new_page()
        page.on("pageerror", lambda error: pytest.fail(f"error on the page: {error}"))
        page.goto(f"{site.url}{path}")
        log_in(page, agent)
        expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        return page

    return enter
