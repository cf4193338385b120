"""👍 and 👎 in the console: an AI's answer and a suggestion are judged, and the state is kept."""

from collections.abc import Callable

from playwright.sync_api import Locator, Page, Response, expect

from tests.browser.hands import bubbles, open_row
from tests.browser.site import Site
from tests.browser.test_console_page import PHONE
from tests.browser.test_copilot import ADVICE, ask, card, state, vendor  # noqa: F401
from tests.fakes.openai_server import FakeOpenAI, say

Visit = Callable[..., Page]
Enter = Callable[..., Page]


def is_of_up(response: Response) -> bool:
    """The answer to 👍, whatever was pressed before."""
    return "/feedback/" in response.url and (response.request.post_data_json or {})["good"] is True


def thumb(page: Page, name: str) -> Locator:
    return page.locator(f"#messages .msg[data-look=bot] [data-thumb={name}]").last


def pressed(page: Page) -> list[str | None]:
    return [thumb(page, name).get_attribute("aria-pressed") for name in ("up", "down")]


def test_an_answer_is_judged_seen_by_colleagues_and_taken_back(
    begun: Visit, console: Enter, site: Site, inbox: str
) -> None:
    begun("这个答得怎样")
    site.do("bot_says", inbox=inbox, text="规则的回答")
    site.do("ai_says", inbox=inbox, text="AI 的回答")
    page, other = console(), console(agent="lilei")
    for one in (page, other):
        open_row(one, "AI 的回答")
    expect(page.locator("#messages [data-slot=thumbs]:visible")).to_have_count(1)
    assert pressed(page) == ["false", "false"]

    thumb(page, "up").click()
    expect(thumb(other, "up")).to_have_attribute("aria-pressed", "true")
    assert site.do("judged", inbox=inbox) == [True]
    thumb(page, "down").focus()
    page.keyboard.press("Enter")
    expect(thumb(other, "down")).to_have_attribute("aria-pressed", "true")
    expect(thumb(page, "down")).to_be_focused()
    page.reload()
    expect(thumb(page, "down")).to_have_attribute("aria-pressed", "true")
    assert pressed(page) == ["false", "true"]
    thumb(page, "down").click()
    expect(thumb(other, "down")).to_have_attribute("aria-pressed", "false")

    assert site.do("judged", inbox=inbox) == [None]


def test_what_the_server_refuses_is_shown_as_it_was(
    begun: Visit, console: Enter, site: Site, inbox: str
) -> None:
    begun("不让评")
    site.do("bot_says", inbox=inbox, text="没有调用记录", by_ai=True)
    page = console()
    open_row(page, "没有调用记录")

    thumb(page, "up").click()

    expect(page.locator("#toasts")).to_contain_text("操作未完成")
    assert pressed(page) == ["false", "false"]


def test_on_a_phone_in_the_dark_and_in_english(
    begun: Visit, console: Enter, site: Site, inbox: str
) -> None:
    begun("手机上评")
    site.do("ai_says", inbox=inbox, text="好的")
    page = console(**PHONE, color_scheme="dark", locale="en-GB")
    page.locator(".row-item", has_text="好的").locator(".row").tap()

    up, down = thumb(page, "up"), thumb(page, "down")
    boxes = [one.bounding_box() or {} for one in (up, down)]
    assert all(min(box["width"], box["height"]) >= 40 for box in boxes)
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert [one.get_attribute("aria-label") for one in (up, down)] == ["Helpful", "Not helpful"]
    down.tap()

    expect(down).to_have_attribute("aria-pressed", "true")


def test_a_suggestion_is_judged(
    begun: Visit,
    console: Enter,
    vendor: FakeOpenAI,  # noqa: F811
    site: Site,
    inbox: str,
) -> None:
    vendor.will(say(ADVICE))
    begun("评一下建议")
    page = console()
    open_row(page, "评一下建议")
    ask(page, "suggest")
    state(page, "done")

    card(page).locator("[data-thumb=down]").click()
    with page.expect_response(is_of_up):
        card(page).locator("[data-thumb=up]").click()

    expect(card(page).locator("[data-thumb=down]")).to_have_attribute("aria-pressed", "false")
    assert site.do("judged", inbox=inbox) == [True]
    expect(bubbles(page)).to_have_count(1)


def test_what_was_extracted_goes_into_a_note_with_a_warning(
    begun: Visit,
    console: Enter,
    vendor: FakeOpenAI,  # noqa: F811
) -> None:
    vendor.will(say("订单号：A100\n地址：杭州"))
    begun("单号 A100")
    page = console()
    open_row(page, "单号 A100")

    ask(page, "extract")
    state(page, "done")
    expect(card(page).locator("[data-slot=check]")).to_contain_text("杭州")
    expect(card(page).locator("[data-slot=check]")).not_to_contain_text("A100")
    card(page).locator("[data-copilot=adopt]").click()

    expect(page.locator("#composer")).to_have_attribute("data-mode", "note")
    expect(page.locator("#composer-text")).to_have_value("订单号：A100\n地址：杭州")
