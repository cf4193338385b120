"""An agent's side as people use it: the console against the live application and a visitor's page."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.site import Site

Visit = Callable[..., Page]
Enter = Callable[..., Page]
PASSWORD = "a-long-passphrase"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1440, "height": 900}}
CHINESE = re.compile("[\u4e00-\u9fff]")
# All words a page shows or names, without what people wrote and what they are called.
WORDS_OF_THE_HOUSE = """() => {
  const own = "#messages .bubble, .note-body, .row-name, .row-preview, .conv-name, .conv-sub, .ctx-name, .history, " +
    ".activity, .pick-name, .composer-via b, .facts dd, .owner-chip, [lang], script, template, .av, .rail-me, #my-menu .menu-head, " +
    "form[action*=language], .pick, #transfer-list, .chain";
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    if (element.closest(own)) continue;
    const texts = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data);
    found.push(...texts, element.title ?? "", element.getAttribute("aria-label") ?? "", element.placeholder ?? "");
  }
  return found.map((text) => String(text).trim()).filter(Boolean);
}"""


@pytest.fixture
def console(site: Site, context: Callable[..., BrowserContext]) -> Enter:
    """Logs an agent in by the form and opens their console."""

    def enter(path: str = "/console/?bucket=all", agent: str = "xiaofang", **options: object) -> Page:
        page = context(**{**DESK, **options}).new_page()
        page.on("pageerror", lambda error: pytest.fail(f"error on the page: {error}"))
        page.goto(f"{site.url}/login/?next={path.replace('?', '%3F')}")
        page.fill("#id_username", agent)
        page.fill("#id_password", PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        return page

    return enter


@pytest.fixture
def begun(visitor: Visit) -> Callable[[str], Page]:
    """A visitor whose first words are stored."""

    def begin(text: str) -> Page:
        page = visitor()
        write_as_visitor(page, text)
        expect(page.locator(".msg-own .state").last).not_to_have_attribute(
            "data-state", re.compile("queued|sending")
        )
        return page

    return begin


def write_as_visitor(page: Page, text: str) -> None:
    page.locator("#text").fill(text)
    page.locator("#text").press("Enter")


def said_to_visitor(page: Page) -> Locator:
    return page.locator(".msg-staff:not([data-key=welcome]) .text")


def row(page: Page, text: str) -> Locator:
    return page.locator(".row-item", has_text=text)


def open_row(page: Page, text: str) -> None:
    row(page, text).locator(".row").click()
    expect(page.locator("#messages .bubble", has_text=text).first).to_be_visible()


def write(page: Page, text: str) -> None:
    page.locator("#composer-text").fill(text)
    page.locator("#composer-text").press("Enter")


def bubbles(page: Page) -> Locator:
    return page.locator("#messages .bubble [data-slot=text]")


def test_who_is_not_logged_in_is_asked_to_and_comes_back(
    site: Site, context: Callable[..., BrowserContext]
) -> None:
    page = context().new_page()

    page.goto(f"{site.url}/console/?bucket=team")
    page.fill("#id_username", "xiaofang")
    page.fill("#id_password", "not this one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("用户名或密码不正确")
    page.fill("#id_password", PASSWORD)
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/console/\?bucket=team$"))
    expect(page.locator("#buckets [aria-current=page]")).to_contain_text("同组")


def test_visitor_and_agent_talk_without_reloading(begun: Visit, console: Enter) -> None:
    shopper = begun("滤芯多久换一次")
    page = console()
    open_row(page, "滤芯多久换一次")

    write_as_visitor(shopper, "在线等")
    expect(bubbles(page).last).to_have_text("在线等")
    write(page, "每六个月换一次")

    expect(said_to_visitor(shopper).last).to_have_text("每六个月换一次")
    expect(bubbles(page).last).to_have_text("每六个月换一次")
    expect(page.locator("#outbox > *")).to_have_count(0)
    # The visitor saw it, and the agent is told.
    expect(page.locator("#messages .msg").last).to_have_attribute(
        "data-status", re.compile("sent|delivered|read")
    )


def test_a_new_conversation_comes_into_the_list_and_counts(begun: Visit, console: Enter) -> None:
    page = console()
    count = page.locator("[data-count=all]")
    before = int(count.inner_text())

    begun("有人吗，第一次来")

    expect(row(page, "有人吗，第一次来")).to_be_visible()
    expect(row(page, "有人吗，第一次来").locator("[data-slot=unread]")).to_have_text("1")
    expect(count).to_have_text(str(before + 1))


def test_an_internal_note_never_reaches_the_visitor(
    begun: Visit, console: Enter, site: Site
) -> None:
    shopper = begun("包裹破了")
    page = console()
    open_row(page, "包裹破了")

    page.keyboard.press("Alt+KeyP")
    write(page, "2605 批次，直接换新")
    expect(page.locator("#messages .note")).to_contain_text("2605 批次，直接换新")
    page.keyboard.press("Alt+KeyL")
    write(page, "马上给您换新")

    expect(said_to_visitor(shopper).last).to_have_text("马上给您换新")
    expect(shopper.locator("body")).not_to_contain_text("2605")


def test_taking_over_silences_the_bot_and_resolving_ends_it(
    begun: Visit, console: Enter, site: Site, inbox: str
) -> None:
    shopper = begun("转接试试")
    page = console()
    open_row(page, "转接试试")
    site.do("bot_says", inbox=inbox, text="我是机器人")
    expect(page.locator("#messages .msg[data-look=bot] .chip")).to_have_text("机器人")

    page.locator(".conv-owner [data-action=take-over]").first.click()
    expect(page.locator("[data-slot=owner-text]")).to_have_text("小芳 接待")
    expect(page.locator(".status-chip")).to_contain_text("处理中")
    page.locator(".conv-actions [data-action=resolve]").click()
    expect(page.locator(".status-chip")).to_contain_text("已解决")
    expect(page.locator(".row-item .is-selected")).to_have_count(0)
    page.locator(".conv-actions [data-action=reopen]").click()

    expect(page.locator(".status-chip")).to_contain_text("处理中")
    expect(shopper.locator("#log")).to_contain_text("小芳")


def test_a_crash_of_the_server_loses_and_doubles_nothing(
    begun: Visit, console: Enter, site: Site, inbox: str
) -> None:
    shopper = begun("断网之前")
    page = console()
    open_row(page, "断网之前")
    write(page, "收到")
    expect(page.locator("#outbox > *")).to_have_count(0)

    site.stop_server()
    expect(page.locator("#connection")).to_have_attribute("data-state", "offline")
    write(page, "离线时写下")
    expect(page.locator("#outbox .msg")).to_contain_text("待发送")
    expect(page.locator("#send [data-slot=word]")).to_have_text("联网后发送")
    site.do("say", inbox=inbox, count=3)
    site.start_server()

    expect(page.locator("#connection")).to_have_attribute("data-state", "live", timeout=20_000)
    expect(bubbles(page)).to_contain_text(["断网之前", "收到", "消息 1", "消息 2", "消息 3"])
    held = page.locator("#outbox .msg[data-status=held]")
    expect(held).to_contain_text("这条还没有发出")  # the visitor wrote meanwhile: the agent decides
    held.get_by_text("仍然发送").click()
    expect(bubbles(page)).to_have_text(
        ["断网之前", "收到", "消息 1", "消息 2", "消息 3", "离线时写下"]
    )
    expect(said_to_visitor(shopper)).to_have_text(["收到", "离线时写下"], timeout=20_000)


def test_enter_that_picks_a_candidate_never_sends(begun: Visit, console: Enter) -> None:
    begun("输入法")
    page = console()
    open_row(page, "输入法")
    field = page.locator("#composer-text")
    field.fill("ni hao")

    field.evaluate(
        """(field) => {
          const key = (values) => field.dispatchEvent(new KeyboardEvent("keydown",
            { key: "Enter", code: "Enter", bubbles: true, cancelable: true, ...values }));
          field.dispatchEvent(new CompositionEvent("compositionstart", { bubbles: true }));
          key({ isComposing: true });
          key({ keyCode: 229 });
          field.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true, data: "你好" }));
          key({});
        }"""
    )
    page.wait_for_timeout(150)
    expect(field).to_have_value("ni hao")
    expect(page.locator("#messages .msg[data-look=agent], #outbox .msg")).to_have_count(0)
    field.press("Enter")

    expect(bubbles(page).last).to_have_text("ni hao")


def test_drafts_of_reply_and_note_survive_a_reload(begun: Visit, console: Enter) -> None:
    begun("草稿在吗")
    page = console()
    open_row(page, "草稿在吗")

    page.locator("#composer-text").fill("还没写完的回复")
    page.keyboard.press("Alt+KeyP")
    page.locator("#composer-text").fill("只给同事")
    page.reload()
    expect(page.locator("#composer-text")).to_have_value("只给同事")
    expect(row(page, "草稿在吗").locator("[data-slot=draft]")).to_be_visible()
    page.keyboard.press("Alt+KeyL")

    expect(page.locator("#composer-text")).to_have_value("还没写完的回复")
    expect(page.locator("#draft-hint")).to_contain_text("的草稿")


def test_back_and_forward_move_between_conversations(
    begun: Visit, console: Enter, site: Site
) -> None:
    begun("第一位客人")
    begun("同一接入点的第二位")
    page = console()
    open_row(page, "第一位客人")
    open_row(page, "同一接入点的第二位")

    page.go_back()
    expect(bubbles(page).first).to_have_text("第一位客人")
    page.go_back()

    expect(page.locator(".start-title")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/console/\?bucket=all"))


def test_a_conversation_of_another_team_is_not_there(console: Enter, site: Site) -> None:
    page = console(path="/console/c/999999999")

    expect(page.locator("#pane")).to_contain_text("无法查看该会话")


def test_on_a_phone_one_pane_shows_at_a_time(begun: Visit, console: Enter) -> None:
    begun("手机上看")
    page = console(**PHONE)
    expect(page.locator("#pane")).to_be_hidden()

    row(page, "手机上看").locator(".row").tap()
    expect(page.locator("#list-pane")).to_be_hidden()
    write(page, "手机回复")
    expect(bubbles(page).last).to_have_text("手机回复")
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.locator("[data-back]").tap()

    assert overflow <= 0
    expect(page.locator("#list-pane")).to_be_visible()


def test_dark_follows_the_system_until_the_agent_chooses(begun: Visit, console: Enter) -> None:
    page = console(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")

    page.locator("#status-button").click()
    page.locator("[data-theme-choice=light]").click()
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_in_english_no_chinese_is_left_but_what_people_wrote(begun: Visit, console: Enter) -> None:
    begun("中文内容")
    page = console(locale="en-GB")
    open_row(page, "中文内容")
    page.locator("#status-button").click()

    words = page.evaluate(WORDS_OF_THE_HOUSE)

    assert [text for text in words if CHINESE.search(text)] == []
    expect(page.locator("#buckets")).to_contain_text("Unassigned")
