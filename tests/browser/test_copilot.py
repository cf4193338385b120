"""The copilot's card in the console, with a stand-in for the AI vendor on a real socket."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.hands import bubbles, open_row, said_to_visitor
from tests.browser.site import Site
from tests.browser.test_console_page import CHINESE, NOT_OURS, PHONE, WORDS_OF_THE_HOUSE
from tests.fakes.openai_server import DONE, FakeOpenAI, event, fails, say, stall, stream

Visit = Callable[..., Page]
Enter = Callable[..., Page]
ADVICE = "您好，滤芯建议每六个月更换一次，需要我为您寄一份吗？"


@pytest.fixture
def vendor(site: Site) -> Iterator[FakeOpenAI]:
    site.do("forget_endpoints")
    with FakeOpenAI() as server:
        site.do("copilot", base_url=server.base_url)
        yield server
        site.do("copilot", base_url="")


def card(page: Page) -> Locator:
    return page.locator("#copilot")


def text_of(page: Page) -> Locator:
    return card(page).locator("[data-slot=text]")


def ask(page: Page, deed: str) -> None:
    page.locator("#ai").click()
    page.locator(f"#ai-menu [data-deed={deed}]").click()


def state(page: Page, name: str) -> None:
    expect(card(page)).to_have_attribute("data-state", name)


def field(page: Page) -> Locator:
    return page.locator("#composer-text")


def test_a_suggestion_grows_goes_into_the_composer_and_is_not_sent(
    begun: Visit, console: Enter, vendor: FakeOpenAI
) -> None:
    vendor.will(stream(event("您好，"), 1.5, event(ADVICE[3:]), event(finish="stop"), DONE))
    shopper = begun("滤芯多久换")
    page = console()
    open_row(page, "滤芯多久换")

    ask(page, "suggest")
    state(page, "busy")
    expect(text_of(page)).to_have_text("您好，")
    state(page, "growing")
    expect(text_of(page)).to_have_text(ADVICE)
    state(page, "done")
    field(page).press("Alt+Enter")

    expect(field(page)).to_have_value(ADVICE)
    expect(card(page)).to_be_hidden()
    expect(page.locator("#messages .msg[data-look=agent], #outbox .msg")).to_have_count(0)
    expect(said_to_visitor(shopper)).to_have_count(0)
    assert "客户：滤芯多久换" in vendor.requests[0].body["messages"][-1]["content"]
    field(page).press("Enter")
    expect(bubbles(page).last).to_have_text(ADVICE)


def test_a_polished_draft_takes_its_place_and_can_be_taken_back(
    begun: Visit, console: Enter, vendor: FakeOpenAI
) -> None:
    vendor.will(say("马上为您核实。"))
    begun("润色试试")
    page = console()
    open_row(page, "润色试试")
    page.locator("#ai").click()
    expect(page.locator("#ai-menu [data-deed=polish]")).to_be_disabled()
    page.keyboard.press("Escape")
    field(page).fill("我查下")

    ask(page, "polish")
    card(page).locator("[data-copilot=adopt]").click()
    expect(field(page)).to_have_value("马上为您核实。")
    page.locator("#toasts .btn").click()

    expect(field(page)).to_have_value("我查下")
    assert "我查下" in vendor.requests[0].body["messages"][-1]["content"]


def test_a_suggestion_is_put_at_the_cursor_where_something_else_was_typed(
    begun: Visit, console: Enter, vendor: FakeOpenAI
) -> None:
    vendor.will(say("六个月", first_after_s=0.5))
    begun("光标处")
    page = console()
    open_row(page, "光标处")

    ask(page, "suggest")
    field(page).fill("一般，以手册为准")
    field(page).evaluate("field => field.setSelectionRange(2, 2)")
    state(page, "done")
    page.keyboard.press("Alt+Enter")

    expect(field(page)).to_have_value("一般六个月，以手册为准")


def test_an_enter_of_the_input_method_adopts_nothing(
    begun: Visit, console: Enter, vendor: FakeOpenAI
) -> None:
    vendor.will(say("建议"))
    begun("输入法与建议")
    page = console()
    open_row(page, "输入法与建议")
    ask(page, "suggest")
    state(page, "done")

    field(page).evaluate(
        """field => field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter",
        code: "Enter", altKey: true, isComposing: true, bubbles: true, cancelable: true }))"""
    )

    expect(card(page)).to_be_visible()
    expect(field(page)).to_have_value("")


def test_a_summary_goes_into_a_note_and_never_into_the_reply(
    begun: Visit, console: Enter, vendor: FakeOpenAI
) -> None:
    vendor.will(say("客户诉求：换货"))
    begun("总结试试")
    page = console()
    open_row(page, "总结试试")

    ask(page, "summarise")
    expect(card(page).locator("[data-slot=adopt-word]")).to_have_text("写入备注")
    state(page, "done")
    card(page).locator("[data-copilot=adopt]").click()

    expect(page.locator("#composer")).to_have_attribute("data-mode", "note")
    expect(field(page)).to_have_value("客户诉求：换货")
    page.keyboard.press("Alt+KeyL")
    expect(field(page)).to_have_value("")


def test_what_is_typed_as_a_note_is_not_shown_to_who_writes_to_the_contact(
    begun: Visit, console: Enter, vendor: FakeOpenAI
) -> None:
    begun("备注不外传")
    page = console()
    open_row(page, "备注不外传")
    page.keyboard.press("Alt+KeyP")
    field(page).fill("此人爱投诉")

    ask(page, "suggest")
    state(page, "done")

    assert "爱投诉" not in vendor.requests[0].body["messages"][-1]["content"]


def test_another_language_asks_again(begun: Visit, console: Enter, vendor: FakeOpenAI) -> None:
    vendor.will(say("Every six months."), say("半年ごとです。"))
    begun("翻译试试")
    page = console()
    open_row(page, "翻译试试")
    field(page).fill("半年一次")

    ask(page, "translate")
    expect(text_of(page)).to_have_text("Every six months.")
    page.locator("#copilot-language").select_option("ja")

    expect(text_of(page)).to_have_text("半年ごとです。")
    prompts = [request.body["messages"][-1]["content"] for request in vendor.requests]
    assert ["英语" in prompts[0], "日语" in prompts[1]] == [True, True]


def test_what_is_stopped_stays_as_far_as_it_came(
    begun: Visit, console: Enter, vendor: FakeOpenAI
) -> None:
    vendor.will(stream(event("写到这里"), 30.0, event("不会到"), DONE))
    begun("停止试试")
    page = console()
    open_row(page, "停止试试")

    ask(page, "suggest")
    expect(text_of(page)).to_have_text("写到这里")
    page.keyboard.press("Escape")
    state(page, "done")
    page.keyboard.press("Escape")

    expect(card(page)).to_be_hidden()


def test_an_endpoint_that_fails_is_told_and_asked_again(
    begun: Visit, console: Enter, vendor: FakeOpenAI
) -> None:
    vendor.will(fails(401), say("这次可以"))
    begun("接口坏了")
    page = console()
    open_row(page, "接口坏了")
    ask(page, "suggest")

    expect(card(page).locator("[data-slot=problem]")).to_contain_text("AI 接口没有应答")
    expect(card(page).locator("[data-slot=detail]")).to_contain_text("assistant: auth")
    expect(card(page).locator("[data-copilot=adopt]")).to_be_hidden()
    card(page).locator("[data-copilot=retry]").click()

    expect(text_of(page)).to_have_text("这次可以")
    expect(card(page).locator("[data-slot=problem]")).to_be_hidden()


def test_a_silent_endpoint_does_not_keep_the_agent_waiting(
    begun: Visit, console: Enter, vendor: FakeOpenAI
) -> None:
    vendor.will(stall())
    begun("没有声音")
    page = console()
    open_row(page, "没有声音")

    ask(page, "suggest")
    state(page, "busy")

    expect(card(page)).to_have_attribute("data-state", "failed", timeout=10_000)


def test_without_an_endpoint_a_rule_may_suggest_and_says_so(
    begun: Visit, console: Enter, site: Site
) -> None:
    begun("怎么申请保修")
    page = console()
    open_row(page, "怎么申请保修")

    ask(page, "suggest")
    expect(card(page).locator("[data-slot=problem]")).to_contain_text("没有可用的 AI 接口")
    site.do("rule", name="保修", keywords=["申请保修"], answer="请提供购买凭证。")
    card(page).locator("[data-copilot=retry]").click()

    expect(text_of(page)).to_have_text("请提供购买凭证。")
    expect(card(page).locator("[data-slot=degraded]")).to_have_text("AI 降级中：规则应答")


def test_the_newest_message_stays_in_sight_over_the_card(
    begun: Visit, console: Enter, vendor: FakeOpenAI, site: Site, inbox: str
) -> None:
    vendor.will(say("一行\n" * 12))
    begun("很长的会话")
    site.do("say", inbox=inbox, count=33)
    site.do("read", inbox=inbox)
    page = console()
    open_row(page, "消息 33")
    expect(bubbles(page).last).to_be_in_viewport()

    ask(page, "suggest")
    state(page, "done")

    expect(bubbles(page).last).to_be_in_viewport(ratio=1)


def test_markup_is_shown_as_the_text_it_is(
    begun: Visit, console: Enter, vendor: FakeOpenAI
) -> None:
    evil = "<img src=x onerror=alert(1)><b>粗</b>"
    vendor.will(say(evil))
    begun("脚本")
    page = console()
    open_row(page, "脚本")

    ask(page, "suggest")
    state(page, "done")

    expect(text_of(page)).to_have_text("粗")
    expect(text_of(page).locator("*")).to_have_count(0)


def test_offline_there_is_no_copilot(begun: Visit, console: Enter, vendor: FakeOpenAI) -> None:
    vendor.will(stall())
    begun("断网了")
    page = console()
    open_row(page, "断网了")
    ask(page, "suggest")
    state(page, "busy")

    page.context.set_offline(True)
    expect(page.locator("#ai")).to_be_disabled()
    expect(card(page).locator("[data-slot=problem]")).to_contain_text("网络不通")
    page.context.set_offline(False)

    expect(page.locator("#ai")).to_be_enabled()


OVER_THE_SOCKET = """(conversation) => new Promise((resolve) => {
  const socket = new WebSocket(`ws://${location.host}/ws/console/`);
  const frames = [];
  socket.addEventListener("message", ({ data }) => {
    const frame = JSON.parse(data);
    const wish = { type: "copilot", conversation, client_id: "c1", deed: "suggest" };
    if (frame.type === "ready") socket.send(JSON.stringify(wish));
    if (frame.type.startsWith("copilot")) frames.push(frame);
    if (frame.type === "copilot_end") { socket.close(); resolve(frames); }
  });
})"""


def test_a_copy_that_the_browser_forbids_is_selected_instead(
    begun: Visit, console: Enter, vendor: FakeOpenAI
) -> None:
    vendor.will(say(ADVICE))
    begun("复制试试")
    page = console()
    open_row(page, "复制试试")
    ask(page, "suggest")
    state(page, "done")

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card(page).locator("[data-copilot=copy]").click()
    expect(page.locator("#toasts")).to_contain_text("已复制")
    assert page.evaluate("navigator.clipboard.readText()") == ADVICE
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    card(page).locator("[data-copilot=copy]").click()

    expect(page.locator("#toasts")).to_contain_text("已选中")
    assert page.evaluate("getSelection().toString()") == ADVICE


def test_over_the_socket_a_worker_suggests(
    begun: Visit, console: Enter, vendor: FakeOpenAI, site: Site
) -> None:
    vendor.will(say(ADVICE, between_s=0.1))
    begun("经过队列")
    page = console()
    open_row(page, "经过队列")
    conversation = page.locator("main.conv").get_attribute("data-id")

    with site.bot():
        expect(page.locator("#messages .msg[data-look=bot]").first).to_be_visible(timeout=30_000)
        frames = page.evaluate(OVER_THE_SOCKET, conversation)

    *deltas, end = frames
    assert {frame["type"] for frame in deltas} == {"copilot_delta"}
    assert (end["text"], end["endpoint"]) == (ADVICE, "assistant")


def test_on_a_phone_the_card_fits(begun: Visit, console: Enter, vendor: FakeOpenAI) -> None:
    vendor.will(say(ADVICE))
    begun("手机上的建议")
    page = console(**PHONE)
    page.locator(".row-item", has_text="手机上的建议").locator(".row").tap()

    page.locator("#ai").tap()
    page.locator("#ai-menu [data-deed=suggest]").tap()
    state(page, "done")
    button = card(page).locator("[data-copilot=adopt]")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert (button.bounding_box() or {})["height"] >= 40
    button.tap()

    expect(field(page)).to_have_value(ADVICE)


def test_in_english_the_card_speaks_english(
    begun: Visit, console: Enter, vendor: FakeOpenAI
) -> None:
    vendor.will(fails(401))
    begun("English please")
    page = console(locale="en-GB")
    open_row(page, "English please")
    ask(page, "suggest")
    state(page, "failed")
    page.locator("#ai").click()

    words = page.evaluate(WORDS_OF_THE_HOUSE, NOT_OURS)

    name = page.locator(".conv-name").inner_text()
    assert [text for text in words if CHINESE.search(text) and text != name] == []
    expect(card(page)).to_contain_text(re.compile("did not answer"))
