"""The live page of AI endpoints in a browser: figures that move, a drill from start to report."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.hands import log_in

pytestmark = pytest.mark.browser


@pytest.fixture
def live(site, context, inbox):
    """The live page, opened by the admin; an error or a refusal of the policy fails the test."""
    site.do("endpoint", slug="drilled", base_url="http://127.0.0.1:9/v1", api_key="k")
    site.do("rule", name=f"演练时的回答 {inbox}", keywords=["演练"], answer="好")
    page = context(viewport={"width": 1440, "height": 900}).new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None,
    )
    page.goto(f"{site.url}/admin/")
    log_in(page, "boss")
    expect(page).to_have_url(re.compile(r"/admin/$"))
    page.goto(f"{site.url}/admin/ai_gateway/drill/live/")
    yield page
    assert wrong == []


def card(page: Page):
    return page.locator(".live-card", has_text="drilled")


def test_the_figures_move(site, live):
    expect(live.locator("#live")).to_have_attribute("data-state", "live")
    site.do("calls", slug="drilled", answered=3, failed=1)

    expect(card(live).locator("[data-slot=error_rate]")).to_have_text("25%")
    expect(card(live).locator("[data-slot=latency_ms]")).to_have_text("320 ms")


def test_without_a_network_it_says_so_and_goes_on(live):
    expect(live.locator("#live")).to_have_attribute("data-state", "live")
    live.context.set_offline(True)
    expect(live.locator("#live")).to_have_attribute("data-state", "offline")
    live.context.set_offline(False)
    expect(live.locator("#live")).to_have_attribute("data-state", "live")


def test_a_drill_runs_shows_everywhere_and_is_told(site, live):
    live.locator("#open-drill").click()
    live.locator("[name=endpoint]").select_option("drilled")
    live.locator("[name=minutes]").fill("90")
    live.locator("#drill-form [type=submit]").click()
    expect(live.locator("#drill-dialog")).to_be_visible()  # more than half an hour is refused
    live.locator("[name=minutes]").fill("5")
    live.locator("#drill-form [type=submit]").click()
    running = live.locator(".live-drill", has=live.locator("[data-stop]"))
    expect(running.locator("[data-slot=left]")).to_have_text(re.compile(r"4:\d\d|5:00"))

    other = live.context.new_page()
    other.goto(f"{site.url}/admin/tickets/label/")
    expect(other.locator(".kefu-drill")).to_contain_text("drilled")

    running.locator("[data-stop]").click()
    expect(live.locator(".live-drill [data-slot=report]").first).to_contain_text("转人工的会话")
    other.reload()
    expect(other.locator(".kefu-drill")).to_have_count(0)
