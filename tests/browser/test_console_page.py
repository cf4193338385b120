"""The console's page itself: input methods, drafts, history, phone, dark, English."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.hands import bubbles, open_row, row, write

Visit = Callable[..., Page]
Enter = Callable[..., Page]
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
CHINESE = re.compile("[\u4e00-\u9fff]")
# What people wrote, and what people, teams and inboxes are called.
NOT_OURS = """
#messages .bubble, .note-body, .activity, .row-name, .row-preview, .conv-name, .conv-sub, .ctx-name,
.history, .chain, .facts dd, .owner-chip, .composer-via b, #via-menu [data-slot=name],
.links [data-slot=who], .av, .rail-me, #my-menu .menu-head,
#transfer-list, form[action*=language], script, template, .label
"""
WORDS_OF_THE_HOUSE = """(notOurs) => {
  const words = [];
  for (const element of document.querySelectorAll("body *")) {
    if (element.closest(notOurs)) continue;
    for (const node of element.childNodes) if (node.nodeType === 3) words.push(node.data);
    const names = ["title", "aria-label", "placeholder"];
    words.push(...names.map((name) => element.getAttribute(name)));
  }
  return words.filter(Boolean);
}"""
PICK_A_CANDIDATE = """(field) => {
  const tell = (type) => field.dispatchEvent(new CompositionEvent(type, { bubbles: true }));
  const enter = (values) => field.dispatchEvent(new KeyboardEvent("keydown",
    { key: "Enter", code: "Enter", bubbles: true, cancelable: true, ...values }));
  tell("compositionstart");
  enter({ isComposing: true });
  enter({ keyCode: 229 });
  tell("compositionend");
  enter({});
}"""


def test_enter_that_picks_a_candidate_never_sends(begun: Visit, console: Enter) -> None:
    begun("输入法")
    page = console()
    open_row(page, "输入法")
    field = page.locator("#composer-text")
    field.fill("ni hao")

    field.evaluate(PICK_A_CANDIDATE)
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
    expect(page.locator(".row.is-selected .row-second")).to_contain_text("「草稿」 还没写完的回复")
    page.keyboard.press("Alt+KeyL")

    expect(page.locator("#composer-text")).to_have_value("还没写完的回复")
    expect(page.locator("#draft-hint")).to_contain_text("的草稿")


def test_back_and_forward_move_between_conversations(begun: Visit, console: Enter) -> None:
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


def test_a_conversation_of_another_team_is_not_there(console: Enter) -> None:
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


def test_who_gave_no_name_is_called_in_the_agents_language(begun: Visit, console: Enter) -> None:
    made_up = re.compile(r"^Visitor [0-9A-F]{4}$")
    page = console(locale="en-GB")
    begun("没有留名")  # told by the socket
    open_row(page, "没有留名")

    expect(row(page, "没有留名").locator("[data-slot=name]")).to_have_text(made_up)
    expect(page.locator(".conv-name")).to_have_text(made_up)


def test_in_english_no_chinese_is_left_but_what_people_wrote(begun: Visit, console: Enter) -> None:
    begun("中文内容")
    page = console(locale="en-GB")
    open_row(page, "中文内容")
    page.locator("#status-button").click()

    words = page.evaluate(WORDS_OF_THE_HOUSE, NOT_OURS)

    assert [text for text in words if CHINESE.search(text)] == []
    expect(page.locator("#buckets")).to_contain_text("Unassigned")
