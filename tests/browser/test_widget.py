"""A visitor's side as people use it: the widget and the chat page against the live application."""

import http.server
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, FrameLocator, Locator, Page, expect

from tests.browser.site import Site

Visit = Callable[..., Page]
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)
BLOCKED_STORAGE = """
Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("no", "SecurityError"); },
});
"""


def write(page: Page | FrameLocator, text: str) -> None:
    expect(page.locator("#presence .dot")).to_be_visible()  # its scripts are there
    page.locator("#text").fill(text)
    page.locator("#text").press("Enter")


def own(page: Page | FrameLocator) -> Locator:
    return page.locator(".msg-own .text")


def staff(page: Page | FrameLocator) -> Locator:
    """What bot and agents said; the page's own greeting stands first."""
    return page.locator(".msg-staff:not([data-key=welcome]) .text")


def state(page: Page | FrameLocator) -> Locator:
    """The state under the newest message of one's own."""
    return page.locator(".msg-own .state").last


def stored(page: Page | FrameLocator) -> None:
    """Waits until the server has all that was written."""
    expect(page.locator("[data-state=queued], [data-state=sending]")).to_have_count(0)


def begin(page: Page, site: Site, text: str = "你好") -> None:
    """The first message, stored."""
    write(page, text)
    expect(state(page)).not_to_have_attribute("data-state", re.compile("queued|sending"))


def test_a_visitor_writes_and_the_bot_answers(visitor: Visit, site: Site, inbox: str) -> None:
    site.do("rule", name="退货", keywords=["退货"], answer="7 天内可退。", buttons=["怎么寄回"])
    page = visitor()
    with site.bot():
        write(page, "我要退货")

        expect(staff(page)).to_have_text(["7 天内可退。"], timeout=30_000)

    expect(page.locator("#chips .pill")).to_have_text(["怎么寄回"])
    assert site.do("texts", inbox=inbox) == ["我要退货"]


def test_an_answer_grows_and_is_replaced_by_the_message(
    visitor: Visit, site: Site, inbox: str
) -> None:
    page = visitor()
    begin(page, site)

    site.do("bot_grows", inbox=inbox, text="够用，")
    expect(page.locator(".is-growing .text")).to_have_text("够用，")
    site.do("bot_grows", inbox=inbox, text="够用，适用面积")
    expect(page.locator(".is-growing .text")).to_have_text("够用，适用面积")
    site.do("bot_says", inbox=inbox, text="够用，适用面积 35–60 平米。")

    expect(staff(page)).to_have_text(["够用，适用面积 35–60 平米。"])
    expect(page.locator(".is-growing")).to_have_count(0)


def test_a_reload_keeps_history_and_draft(visitor: Visit, site: Site, inbox: str) -> None:
    page = visitor()
    begin(page, site, "第一句")
    site.do("bot_says", inbox=inbox, text="答一")
    expect(staff(page)).to_have_text(["答一"])
    page.locator("#text").fill("没写完")
    page.wait_for_timeout(600)

    page.reload()

    expect(own(page)).to_have_text(["第一句"])
    expect(staff(page)).to_have_text(["答一"])
    expect(page.locator("#text")).to_have_value("没写完")
    assert site.do("count_contacts", inbox=inbox) == 1


def test_messages_written_while_the_server_is_away_are_neither_lost_nor_doubled(
    visitor: Visit, site: Site, inbox: str
) -> None:
    page = visitor()
    begin(page, site, "零")
    site.stop_server()
    try:
        write(page, "一")
        expect(state(page)).to_have_attribute("data-state", "queued")
        write(page, "二")
        write(page, "三")
        expect(page.locator("#banner[data-kind=offline]")).to_be_visible()
    finally:
        site.start_server()

    expect(own(page)).to_have_text(["零", "一", "二", "三"])
    expect(page.locator("[data-state=queued], [data-state=sending]")).to_have_count(
        0, timeout=20_000
    )
    assert site.do("texts", inbox=inbox) == ["零", "一", "二", "三"]


def test_messages_in_flight_survive_a_reload_of_the_page(
    visitor: Visit, site: Site, inbox: str
) -> None:
    page = visitor()
    begin(page, site, "零")
    site.stop_server()
    try:
        expect(page.locator("#banner[data-kind=offline]")).to_be_visible()
        write(page, "一")
        write(page, "二")
    finally:
        site.start_server()

    page.reload()

    expect(own(page)).to_have_text(["零", "一", "二"])
    expect(page.locator("[data-state=queued], [data-state=sending]")).to_have_count(0)
    assert site.do("texts", inbox=inbox) == ["零", "一", "二"]


def test_a_long_history_shows_its_end_and_loads_older_on_the_way_up(
    visitor: Visit, site: Site, inbox: str
) -> None:
    page = visitor()
    begin(page, site, "最早的一句")
    site.do("say", inbox=inbox, count=130)
    expect(own(page).last).to_have_text("消息 130")

    page.reload()

    expect(own(page).last).to_have_text("消息 130")
    assert own(page).count() <= 60
    for _ in range(12):
        page.locator("#log").evaluate("log => { log.scrollTop = 0; }")
        page.wait_for_timeout(150)
    expect(own(page)).to_have_count(131)
    expect(own(page).first).to_have_text("最早的一句")


def test_enter_of_an_input_method_never_sends(visitor: Visit, site: Site, inbox: str) -> None:
    page = visitor()
    begin(page, site, "零")
    field = page.locator("#text")
    field.fill("shangmen")

    key = "new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, cancelable: true, %s})"
    field.dispatch_event("compositionstart")
    field.evaluate(f"field => field.dispatchEvent({key % 'isComposing: true'})")
    field.evaluate(f"field => field.dispatchEvent({key % 'keyCode: 229'})")
    # The pick's own Enter, which some browsers send right after the end.
    field.evaluate(
        f"field => {{ field.dispatchEvent(new Event('compositionend'));"
        f" field.dispatchEvent({key % ''}); }}"
    )
    expect(field).to_have_value("shangmen")
    page.wait_for_timeout(120)
    field.press("Enter")

    expect(own(page)).to_have_text(["零", "shangmen"])
    stored(page)
    assert site.do("texts", inbox=inbox) == ["零", "shangmen"]


def test_shift_enter_is_a_new_line_and_the_text_arrives_as_written(
    visitor: Visit, site: Site, inbox: str
) -> None:
    page = visitor()
    page.locator("#text").fill("<b>粗</b> https://a.cn/x")
    page.locator("#text").press("Shift+Enter")
    page.locator("#text").press_sequentially("𠮷")
    page.locator("#text").press("Enter")

    expect(own(page)).to_have_text(["<b>粗</b> https://a.cn/x 𠮷"])
    expect(own(page).locator("a")).to_have_attribute("href", "https://a.cn/x")
    expect(own(page).locator("b")).to_have_count(0)
    expect(state(page)).not_to_have_attribute("data-state", re.compile("queued|sending"))
    assert site.do("texts", inbox=inbox) == ["<b>粗</b> https://a.cn/x\n𠮷"]


def test_on_a_phone_enter_is_a_new_line_and_targets_are_large(
    visitor: Visit, site: Site, inbox: str
) -> None:
    page = visitor(**PHONE)
    page.locator("#text").fill("一行")
    page.locator("#text").press("Enter")
    page.locator("#text").press_sequentially("又一行")
    page.locator("#send").tap()

    expect(own(page)).to_have_count(1)
    box = page.locator("#send").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) >= (40, 40)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.locator("#text")).to_have_css("font-size", "16px")


def test_dark_and_english_follow_the_browser(visitor: Visit) -> None:
    page = visitor(locale="en-GB", color_scheme="dark")

    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("#presence")).to_contain_text("Online")
    expect(page.locator("main")).to_have_css("background-color", "rgb(24, 27, 33)")
    visible = page.locator("main").inner_text().replace("清禾官方客服", "").replace("清", "")
    assert not re.search(r"[\u4e00-\u9fff]", visible)


def test_the_status_line_is_not_cut_in_a_narrow_panel(visitor: Visit) -> None:
    page = visitor(locale="en-GB", viewport={"width": 300, "height": 600})

    line = page.locator("#presence")
    expect(line).to_contain_text("within a minute")
    hidden = "it => it.scrollWidth > it.clientWidth || it.scrollHeight > it.clientHeight"
    assert not line.evaluate(hidden)
    head, words = page.locator(".head").bounding_box(), line.bounding_box()
    assert head
    assert words
    assert words["y"] + words["height"] <= head["y"] + head["height"]


def test_a_wide_picture_of_ones_own_ends_where_ones_words_end(
    visitor: Visit, tmp_path: Path
) -> None:
    page = visitor()
    begin(page, None)  # type: ignore[arg-type]
    picture = tmp_path / "wide.png"
    Image.new("RGB", (600, 200), "teal").save(picture)
    page.locator("#file").set_input_files(picture)
    expect(page.locator(".upload.is-done")).to_have_count(1)
    page.locator("#send").click()
    image = page.locator(".msg-own .pic img")
    expect(image).to_have_js_property("naturalWidth", 600)

    shown, words = image.bounding_box(), page.locator(".msg-own .bubble-own").first.bounding_box()

    assert shown
    assert words
    assert abs(shown["x"] + shown["width"] - words["x"] - words["width"]) < 1


def test_two_tabs_are_one_visitor_and_stay_in_step(visitor: Visit, site: Site, inbox: str) -> None:
    first = visitor()
    second = first.context.new_page()
    second.goto(first.url)

    write(first, "从第一页")
    expect(own(second)).to_have_text(["从第一页"])
    write(second, "从第二页")
    expect(own(first)).to_have_text(["从第一页", "从第二页"])
    site.do("bot_says", inbox=inbox, text="都看见了")

    for page in (first, second):
        expect(own(page)).to_have_text(["从第一页", "从第二页"])
        expect(staff(page)).to_have_text(["都看见了"])
    assert site.do("count_contacts", inbox=inbox) == 1


def test_a_picture_goes_up_and_is_shown(visitor: Visit, tmp_path: Path) -> None:
    page = visitor()
    begin(page, None)  # type: ignore[arg-type]
    picture = tmp_path / "照片.png"
    picture.write_bytes(PIXEL)

    page.locator("#file").set_input_files(picture)
    expect(page.locator(".upload.is-done")).to_have_count(1)
    page.locator("#send").click()

    image = page.locator(".msg-own .pic img")
    expect(image).to_be_visible()
    expect(page.locator("[data-state=queued], [data-state=sending]")).to_have_count(0)
    page.reload()
    expect(image).to_have_js_property("naturalWidth", 1)
    page.locator(".msg-own .pic").click()
    expect(page.locator("dialog.lightbox")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.lightbox")).to_have_count(0)


def test_a_forbidden_file_says_why_and_the_others_go_on(visitor: Visit, tmp_path: Path) -> None:
    page = visitor()
    begin(page, None)  # type: ignore[arg-type]
    (tmp_path / "a.html").write_text("<script>alert(1)</script>")
    (tmp_path / "b.png").write_bytes(PIXEL)

    page.locator("#file").set_input_files([tmp_path / "a.html", tmp_path / "b.png"])

    expect(page.locator(".upload.is-failed")).to_contain_text("不支持此类文件")
    expect(page.locator(".upload.is-done")).to_have_count(1)


def test_blocked_storage_works_for_the_visit_and_says_so(
    context: Callable[..., BrowserContext], site: Site, inbox: str
) -> None:
    page = context().new_page()
    page.add_init_script(BLOCKED_STORAGE)
    page.goto(f"{site.url}/chat/{inbox}/")

    expect(page.locator("#banner")).to_contain_text("无痕模式下历史不会保留")
    begin(page, site, "还能用吗")
    site.do("bot_says", inbox=inbox, text="能")
    expect(staff(page)).to_have_text(["能"])


def test_the_way_to_a_person_queue_agent_typing_read_and_rating(
    visitor: Visit, site: Site, inbox: str
) -> None:
    page = visitor()
    begin(page, site, "机器人不懂")

    page.locator("#handoff").click()
    expect(page.locator(".queue")).to_contain_text("已为您排队")
    expect(page.locator("#bot-bar")).to_be_hidden()

    site.do("take_over", inbox=inbox)
    expect(page.locator("#title")).to_have_text("小芳")
    expect(page.locator(".queue")).to_have_count(0)
    site.do("types", inbox=inbox)
    expect(page.locator(".is-dots")).to_be_visible()
    site.do("reply", inbox=inbox, text="您好，我是小芳")
    expect(staff(page)).to_have_text(["您好，我是小芳"])
    expect(page.locator(".is-dots")).to_have_count(0)
    write(page, "好的")
    expect(own(page)).to_have_count(2)
    stored(page)
    site.do("read", inbox=inbox)
    expect(state(page)).to_have_attribute("data-state", "read")

    site.do("resolve", inbox=inbox)
    page.get_by_role("radio", name="非常满意").click()
    page.get_by_role("button", name="问题已解决").click()
    page.get_by_role("button", name="提交评价").click()
    expect(page.locator("#rate-again")).to_have_text("已评价，谢谢。修改评价")
    assert site.do("last_rating", inbox=inbox) == {"score": 5, "solved": True}

    write(page, "还有一个问题")
    expect(page.locator("#ended")).to_be_hidden()
    expect(own(page)).to_have_text(["机器人不懂", "好的", "还有一个问题"])


def test_hand_off_before_the_first_word(visitor: Visit, site: Site, inbox: str) -> None:
    page = visitor()

    page.locator("#handoff").click()

    expect(page.locator(".queue")).to_be_visible()
    assert site.do("count_conversations", inbox=inbox) == 1


def test_a_pace_too_fast_counts_down_and_loses_nothing(
    visitor: Visit, site: Site, inbox: str
) -> None:
    site.do("settings_of", inbox=inbox, rate_limit={"visitor": 2, "network": 0})
    page = visitor()
    for number in range(4):
        write(page, str(number))
    expect(page.locator("#banner[data-kind=limited]")).to_contain_text("秒后继续")
    expect(page.locator("[data-state=queued]")).to_have_count(2)
    assert site.do("texts", inbox=inbox) == ["0", "1"]

    site.do("settings_of", inbox=inbox, rate_limit={"visitor": 0, "network": 0})
    page.reload()

    expect(own(page)).to_have_text(["0", "1", "2", "3"])
    expect(page.locator("[data-state=queued], [data-state=sending]")).to_have_count(0)
    assert site.do("texts", inbox=inbox) == ["0", "1", "2", "3"]


def test_a_blocked_visitor_is_told_neutrally(visitor: Visit, site: Site, inbox: str) -> None:
    page = visitor()
    begin(page, site)
    site.do("block", inbox=inbox)

    write(page, "在吗")

    expect(page.locator("#banner")).to_contain_text("暂时无法为您服务")


def test_clearing_makes_a_stranger_of_the_visitor(visitor: Visit, site: Site, inbox: str) -> None:
    page = visitor()
    begin(page, site, "忘了我")

    page.locator("#more").click()
    page.get_by_role("menuitem", name="清除我的记录").click()
    page.get_by_role("button", name="清除", exact=True).click()

    expect(own(page)).to_have_count(0)
    begin(page, site, "我是新人")
    expect(own(page)).to_have_text(["我是新人"])
    assert site.do("count_contacts", inbox=inbox) == 2


def test_an_unknown_inbox_is_not_found(
    site: Site, chromium: object, context: Callable[..., BrowserContext]
) -> None:
    answer = context().new_page().goto(f"{site.url}/chat/nobody/")

    assert answer is not None
    assert answer.status == 404


# The widget on somebody's page ------------------------------------------------------------------


class _Shop(http.server.BaseHTTPRequestHandler):
    """A host page of another origin, with the strictest policy that lets the widget in."""

    def __init__(self, site: str, inbox: str, *args: object) -> None:
        self.site, self.inbox = site, inbox
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        body = (
            "<!doctype html><html lang=zh><meta name=viewport content='width=device-width'>"
            "<title>店</title><body><h1>店</h1>"
            f'<script async src="{self.site}/widget/v1.js" data-inbox="{self.inbox}"></script>'
        ).encode()
        policy = f"default-src 'none'; script-src {self.site}; frame-src {self.site}"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def shop(site: Site, inbox: str) -> Iterator[str]:
    """The address of a page at another origin, with the widget on it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Shop, site.url, inbox))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


def panel(page: Page) -> FrameLocator:
    return page.frame_locator("kefu-widget iframe")


def test_the_widget_works_on_a_page_with_a_strict_policy(
    context: Callable[..., BrowserContext], shop: str, site: Site, inbox: str
) -> None:
    page = context().new_page()
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text))
    page.goto(shop)

    page.get_by_role("button", name="打开在线客服").click()
    write(panel(page), "在别人的页面上")
    expect(own(panel(page))).to_have_text(["在别人的页面上"])
    expect(state(panel(page))).not_to_have_attribute("data-state", re.compile("queued|sending"))
    site.do("bot_says", inbox=inbox, text="看得见")
    expect(staff(panel(page))).to_have_text(["看得见"])

    box = page.locator("kefu-widget iframe").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (380, 600)
    assert [line for line in complaints if "Content Security Policy" in line] == []
    assert page.evaluate("Object.keys(window).filter(name => /kefu/i.test(name))") == ["Kefu"]
    assert page.context.cookies() == []


def test_a_closed_panel_counts_unread_and_shows_previews(
    context: Callable[..., BrowserContext], shop: str, site: Site, inbox: str
) -> None:
    page = context().new_page()
    page.goto(shop)
    page.get_by_role("button", name="打开在线客服").click()
    write(panel(page), "我等一下")
    expect(state(panel(page))).not_to_have_attribute("data-state", re.compile("queued|sending"))
    panel(page).locator("#close").click()
    expect(page.locator("kefu-widget iframe")).to_be_hidden()

    site.do("bot_says", inbox=inbox, text="取件单已发出")

    launcher = page.get_by_role("button", name="打开在线客服，1 条未读")
    expect(launcher).to_be_visible()
    expect(page.locator("kefu-widget .p")).to_contain_text("取件单已发出")
    launcher.click()
    expect(staff(panel(page))).to_have_text(["取件单已发出"])
    panel(page).locator("#text").focus()
    page.evaluate("Kefu.close()")
    expect(page.get_by_role("button", name="打开在线客服", exact=True)).to_be_visible()


def test_unread_is_told_again_on_the_next_page_of_the_site(
    context: Callable[..., BrowserContext], shop: str, site: Site, inbox: str
) -> None:
    shop = shop.replace("localhost", "127.0.0.1")  # a private window blocks others' storage
    page = context().new_page()
    page.goto(shop)
    page.get_by_role("button", name="打开在线客服").click()
    begin(panel(page), site, "我等一下")
    panel(page).locator("#close").click()
    site.do("bot_says", inbox=inbox, text="取件单已发出")
    launcher = page.get_by_role("button", name="打开在线客服，1 条未读")
    expect(launcher).to_be_visible()

    page.goto(f"{shop}?next=1")

    expect(launcher).to_be_visible(timeout=10_000)
    expect(page.locator("kefu-widget .p")).to_contain_text("取件单已发出")
    launcher.click()
    expect(staff(panel(page))).to_have_text(["取件单已发出"])


def test_the_host_page_steers_by_its_one_object(
    context: Callable[..., BrowserContext], shop: str
) -> None:
    page = context().new_page()
    page.goto(shop)
    page.wait_for_function("window.Kefu && Kefu.version")
    page.evaluate("window.heard = []; Kefu.on('open', () => heard.push('open'));")

    page.evaluate("Kefu.prefill('请问尺寸'); Kefu.open()")
    expect(panel(page).locator("#text")).to_have_value("请问尺寸")
    page.evaluate("Kefu.setLocale('en')")
    expect(panel(page).locator("html")).to_have_attribute("lang", "en")
    page.evaluate("Kefu.hide()")
    expect(page.locator("kefu-widget .b")).to_be_hidden()
    assert page.evaluate("heard") == ["open"]
    page.evaluate("Kefu.destroy()")
    expect(page.locator("kefu-widget")).to_have_count(0)
    assert page.evaluate("typeof window.Kefu") == "undefined"


def test_on_a_phone_the_panel_fills_the_page_and_back_closes_it(
    context: Callable[..., BrowserContext], shop: str
) -> None:
    page = context(**PHONE).new_page()
    page.goto(shop)
    page.get_by_role("button", name="打开在线客服").tap()

    frame = page.locator("kefu-widget iframe")
    expect(frame).to_be_visible()
    box = frame.bounding_box()
    assert box is not None
    assert (box["x"], box["y"], box["width"]) == (0, 0, page.evaluate("innerWidth"))
    page.go_back()
    expect(frame).to_be_hidden()
    expect(page.locator("h1")).to_have_text("店")


def test_only_named_sites_may_frame_the_chat(
    context: Callable[..., BrowserContext], shop: str, site: Site, inbox: str
) -> None:
    site.do("settings_of", inbox=inbox, allowed_origins=["https://shop.example"])
    page = context().new_page()
    answer = page.goto(f"{site.url}/chat/{inbox}/")

    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert policy.endswith("frame-ancestors 'self' https://shop.example")
    page.goto(shop)
    page.get_by_role("button", name="打开在线客服").click()
    expect(page.frame_locator("kefu-widget iframe").locator("#text")).to_have_count(0)


def test_the_demo_shop_carries_the_widget(
    context: Callable[..., BrowserContext], site: Site
) -> None:
    page = context(viewport={"width": 1280, "height": 860}).new_page()
    page.goto(f"{site.url}/demo/")

    page.get_by_role("button", name="打开在线客服").click()

    expect(panel(page).locator("#title")).to_have_text("清禾官方客服")
