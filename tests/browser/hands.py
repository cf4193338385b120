"""Hands of the browser tests: what an agent and a visitor do, and where it shows."""

from playwright.sync_api import Locator, Page, expect

AGENT_PASSWORD = "a-long-passphrase"  # as tests.factories gives everybody
PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)


def log_in(page: Page, agent: str) -> None:
    """By the form, on the log-in page."""
    page.fill("#id_username", agent)
    page.fill("#id_password", AGENT_PASSWORD)
    page.keyboard.press("Enter")


def write_as_visitor(page: Page, text: str) -> None:
    page.locator("#text").fill(text)
    page.locator("#text").press("Enter")


def said_to_visitor(page: Page) -> Locator:
    """What bot and agents said, without the page's own greeting."""
    return page.locator(".msg-staff:not([data-key=welcome]) .text")


def row(page: Page, text: str) -> Locator:
    """The conversation of the list whose last words are these."""
    return page.locator(".row-item", has_text=text)


def open_row(page: Page, text: str) -> None:
    row(page, text).locator(".row").click()
    expect(bubbles(page).filter(has_text=text).first).to_be_visible()


def write(page: Page, text: str) -> None:
    """In the console's composer, in the mode it is in."""
    page.locator("#composer-text").fill(text)
    page.locator("#composer-text").press("Enter")


def bubbles(page: Page) -> Locator:
    """The words of the open conversation, without notes and what is still on its way."""
    return page.locator("#messages .bubble [data-slot=text]")
