"""The knowledge base: cut, found, imported, embedded, and what the bot makes of it."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pypdf
import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway import embeddings, handoff, importing, knowledge, questions, quotes, tasks
from ai_gateway import search_terms as terms
from ai_gateway.chunks import MOST, chunks_of
from ai_gateway.errors import EndpointError
from ai_gateway.importing import CannotImport
from ai_gateway.models import AnswerRule, Article, ArticleChunk
from ai_gateway.protocol import Passage
from ai_gateway.services import articles
from kefu.demo import articles as demo
from tests import factories
from tests.ai_gateway.conftest import make_endpoint
from tests.ai_gateway.test_answering import ask
from tests.fakes.openai_server import FakeOpenAI, Request, fails, respond
from tickets.events import HandoffReason
from tickets.models import Inbox


def make_article(title: str, body: str, **values: Any) -> Article:
    article = Article(title=title, body=body, **values)
    articles.save(article)
    return article


# Cutting --------------------------------------------------------------------------------------


def test_passages_follow_headings_and_know_the_way_to_them() -> None:
    body = (
        "开头。\n\n# 退货\n\n一。\n\n## 运费\n\n二。\n\n```\n# 不是标题\n```\n\n# 发票\n\n## 空\n"
    )

    assert [(chunk.heading, chunk.text) for chunk in chunks_of(body)] == [
        ("", "开头。"),
        ("退货", "一。"),
        ("退货 > 运费", "二。\n\n```\n# 不是标题\n```"),
    ]


def test_short_paragraphs_are_put_together_and_long_ones_cut_at_sentences() -> None:
    short = "\n\n".join(f"第{n}段，说一点点。" for n in range(3))
    long = "".join(f"这是第{n}句话，它有一点长，好让整段很长。" for n in range(60))

    (together,) = chunks_of(short)
    pieces = chunks_of(long)

    assert together.text == short
    assert all(len(piece.text) <= MOST and piece.text.endswith("。") for piece in pieces)
    last = pieces[0].text.split("。")[-2]
    assert pieces[1].text.startswith(last)


@given(st.text(alphabet="文a。. #\n-`", max_size=3_000))
def test_nothing_is_lost_and_no_passage_is_empty_or_too_long(body: str) -> None:
    chunks = chunks_of(body)

    assert all(chunk.text.strip() and len(chunk.text) <= MOST for chunk in chunks)
    kept = "".join(chunk.text for chunk in chunks)
    assert "#" in body or kept.count("文") >= body.count("文")


def test_terms_are_pairs_of_chinese_and_whole_words_of_the_rest() -> None:
    assert terms.terms("退货Refunds，ＡirPure3") == ["3", "airpure", "refund", "货", "退货"]


# Finding --------------------------------------------------------------------------------------


@pytest.fixture
def shop(db: None) -> None:
    demo.install()


@pytest.mark.parametrize(
    ("question", "heading"),
    [
        ("E7是什么错误", "错误代码"),
        ("退货运费谁出", "退货运费谁出"),
        ("滤芯能不能水洗", "能不能水洗"),
        ("赠品需要退回吗", "赠品要不要退"),
        ("我发票的抬头写错了想重新开一张可以吗", "抬头写错了怎么办"),
        ("airpure3和2有什么区别", "AirPure 3 和 AirPure 2 的区别"),
        ("能送到新疆吗", "偏远地区"),
        ("电机保修几年", "保修期"),
        ("旧净化器可以抵多少钱", "以旧换新"),
        ("设备老是离线", "设备经常离线"),
        ("金卡会员有什么权益", "会员等级"),
        ("专票多久能收到", "发票多久到"),
        ("可以改收货地址吗", "改地址和拦截"),
        (
            "你好，我前两天在你们店里买了一台净化器，昨天收到以后发现外箱破损，想问下可以换吗",
            "外箱破损",
        ),
    ],
)
def test_the_passage_about_it_comes_first(shop: None, question: str, heading: str) -> None:
    found = knowledge.search(question, inbox_id=None)

    assert found[0].title.endswith(f"> {heading}")
    assert found == sorted(found, key=lambda passage: -passage.score)


@pytest.mark.parametrize(
    "nonsense",
    [
        "今天天气怎么样",
        "1+1等于几",
        "asdf qwer zxcv",
        "你是谁",
        "股票行情怎么样",
        "好的谢谢",
        "明天北京下雨吗",
        "what is the meaning of life",
        "在吗",
        "？？？",
        "",
        "')::tsquery; DROP TABLE x; --",
    ],
)
def test_nonsense_finds_nothing(shop: None, nonsense: str) -> None:
    assert knowledge.search(nonsense, inbox_id=None) == []


def test_english_is_found_by_its_words(db: None) -> None:
    make_article("Returns", "Refunds are made within three working days.", language="en")
    make_article("Delivery", "Parcels are delivered in two to four days.", language="en")

    found = knowledge.search("How long does a refund take?", inbox_id=None)

    assert [passage.title for passage in found] == ["Returns"]


def test_articles_of_other_inboxes_and_disabled_ones_are_not_found(web_inbox: Inbox) -> None:
    other = factories.inbox("web", key="other")
    make_article("全部", "净化器保修三年。")
    make_article("本店", "净化器保修三年。", inbox=web_inbox)
    make_article("别家", "净化器保修三年。", inbox=other)
    make_article("停用", "净化器保修三年。", enabled=False)

    found = knowledge.search("净化器保修", inbox_id=web_inbox.pk)

    assert {passage.title for passage in found} == {"全部", "本店"}


def test_a_passage_says_where_it_stands_and_is_cut_anew_with_its_article(db: None) -> None:
    article = make_article("保修", "## 期限\n\n整机保修三年。", source_url="https://a.cn/w")
    (passage,) = knowledge.search("整机保修", inbox_id=None)
    article.body = "电机保修十年。"
    articles.save(article)

    assert passage == Passage("保修 > 期限", "整机保修三年。", "https://a.cn/w", 1.0, article.pk)
    assert [p.text for p in knowledge.search("电机保修", inbox_id=None)] == ["电机保修十年。"]
    assert article.chunks.count() == 1


def test_a_search_is_two_queries_however_much_is_found(shop: None) -> None:
    with CaptureQueriesContext(connection) as queries:
        knowledge.search("退货运费和保修和发票", inbox_id=None)

    assert len(queries) == 2


# By meaning -----------------------------------------------------------------------------------

WORLDS = ("婴儿 宝宝 小孩 母婴", "天气 下雨", "发票 报销")


def embedding_of(text: str) -> list[float]:
    """A model that knows three subjects: a number for each, and a little noise."""
    return [float(any(word in text for word in world.split())) + 0.01 for world in WORLDS]


async def embeds(request: Request, writer: Any) -> None:
    data = [
        {"object": "embedding", "index": index, "embedding": embedding_of(text)}
        for index, text in enumerate(request.body["input"])
    ]
    await respond(json.dumps({"data": data[::-1]}).encode())(request, writer)


@pytest.fixture
def embedder(db: None, server: FakeOpenAI) -> FakeOpenAI:
    make_endpoint(server, "vectors", options={"embeddings": True})
    server.will(embeds)
    return server


def found_by(text: str, inbox_id: int | None = None) -> list[str]:
    return [p.title for p in async_to_sync(knowledge.find)(text, inbox_id=inbox_id)]


def test_what_is_near_in_meaning_is_found_where_vectors_are_made(embedder: FakeOpenAI) -> None:
    make_article("有婴儿怎么选", "睡眠档可关闭全部灯光。")
    make_article("发票", "一个工作日内开出。")
    before = found_by("家里有宝宝")

    tasks.embed_articles()
    tasks.embed_articles()  # nothing left to do

    assert (before, found_by("家里有宝宝")) == ([], ["有婴儿怎么选"])
    assert [len(request.body["input"]) for request in embedder.requests] == [1, 2, 1]
    assert embedder.requests[0].path == "/v1/embeddings"
    assert embedder.requests[0].headers["authorization"] == "Bearer sk-secret-0123456789"


def test_both_ways_of_finding_are_merged_by_rank(embedder: FakeOpenAI) -> None:
    make_article("报销", "凭证在这里下载。")
    make_article("发票", "发票抬头可以修改。")
    tasks.embed_articles()

    assert found_by("发票抬头怎么改") == ["发票", "报销"]


def test_no_personal_data_goes_to_the_embedder(embedder: FakeOpenAI) -> None:
    found_by("我是13812345678，发票呢")

    assert embedder.requests[0].body["input"] == ["我是〔手机号1〕，发票呢"]


@pytest.mark.parametrize(
    "broken",
    [
        fails(500),
        respond(b"<html>"),
        respond(b'{"data": []}'),
        respond(b'{"data": [{"index": 0, "embedding": ["x"]}]}'),
    ],
)
def test_a_broken_embedder_leaves_the_words(embedder: FakeOpenAI, broken: Any) -> None:
    make_article("保修", "整机保修三年。")
    embedder.will(broken)

    tasks.embed_articles()

    assert found_by("整机保修几年") == ["保修"]
    assert ArticleChunk.objects.get().embedding is None


def test_vectors_of_another_model_are_not_compared(embedder: FakeOpenAI) -> None:
    make_article("有婴儿怎么选", "睡眠档可关闭全部灯光。")
    tasks.embed_articles()
    chunk = ArticleChunk.objects.get()
    config = embeddings.chosen()
    assert config

    other = knowledge.search("宝", inbox_id=None, vector=[1.0] * 5, model="other")
    longer = knowledge.search(
        "宝", inbox_id=None, vector=[1.0] * 5, model=embeddings.model_of(config)
    )

    assert chunk.embedded_by == embeddings.model_of(config)
    assert (other, longer) == ([], [])


def test_without_an_embedder_nobody_is_asked(db: None, server: FakeOpenAI) -> None:
    make_endpoint(server)
    make_article("保修", "整机保修三年。")

    tasks.embed_articles()

    assert found_by("整机保修") == ["保修"]
    assert server.requests == []


async def test_the_embedder_tells_what_is_wrong(server: FakeOpenAI) -> None:
    from ai_gateway import registry
    from ai_gateway.protocol import EndpointConfig

    server.will(fails(401))
    with pytest.raises(EndpointError) as caught:
        await embeddings.embed(EndpointConfig("v", "openai", server.base_url), ["文"])
    await registry.close()

    assert caught.value.kind == "auth"


# Answering ------------------------------------------------------------------------------------


def question_of(inbox: Inbox, text: str) -> questions.Question:
    _conversation, message = ask(inbox, text)
    question = questions.read(message.pk)
    assert question
    return question


def passages_for(text: str) -> list[Passage]:
    return knowledge.search(text, inbox_id=None)


def test_a_passage_answers_with_its_source_where_no_rule_does(shop: None, web_inbox: Inbox) -> None:
    question = question_of(web_inbox, "E7是什么错误")

    reply = handoff.of_nothing(question, timezone.now(), passages_for("E7是什么错误"))

    assert "E7：设备已被其他账号绑定" in reply.text
    assert reply.citations == (
        {"title": "联网与 APP 故障排查 > 错误代码", "url": f"{demo.HELP}/wifi"},
    )
    assert (reply.source, reply.miss, reply.reason) == ("rules", False, None)


def test_a_rule_comes_before_a_passage_and_a_weak_passage_is_no_answer(
    shop: None, web_inbox: Inbox
) -> None:
    question = question_of(web_inbox, "E7是什么错误")
    (best, *_rest) = passages_for("E7是什么错误")
    weak = replace(best, score=handoff.ANSWERS - 0.01)
    missed = handoff.of_nothing(question, timezone.now(), [weak])
    AnswerRule.objects.create(name="E7", keywords=["E7"], answer="已绑定。")

    by_rule = handoff.of_nothing(question_of(web_inbox, "E7是什么错误"), timezone.now(), [best])

    assert missed.miss
    assert by_rule.text == "已绑定。"


def test_a_passage_stands_in_for_endpoints_that_failed(shop: None, web_inbox: Inbox) -> None:
    question = question_of(web_inbox, "能送到新疆吗，海外能配送吗")
    passages = passages_for("海外能配送吗")

    answered = handoff.of_failure(question, timezone.now(), passages=passages)
    begun = handoff.of_failure(question, timezone.now(), "您好，", passages=passages)
    empty = handoff.of_failure(question, timezone.now())

    assert answered.text.startswith("新疆、西藏")
    assert answered.reason is None
    assert begun.text == "您好， ……"
    assert empty.reason == begun.reason == HandoffReason.BOT_FAILED


def test_a_long_passage_ends_with_a_sentence() -> None:
    passage = Passage("长", "**好**。" + "这里有一句话，说得不长也不短。" * 40)

    told = quotes.snippet(passage)

    assert told.startswith("好。这里")
    assert told.endswith("。")
    assert len(told) <= quotes.SNIPPET


# Importing ------------------------------------------------------------------------------------


def docx(body: str) -> bytes:
    """The smallest Word file with these paragraphs (WordprocessingML)."""
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
    )
    rels = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Target="word/document.xml" Type='
        '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/>'
        "</Relationships>"
    )
    document = (
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        f"<w:body>{body}</w:body></w:document>"
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("[Content_Types].xml", types)
        package.writestr("_rels/.rels", rels)
        package.writestr("word/document.xml", document)
    return file.getvalue()


def paragraph(text: str, style: str = "") -> str:
    look = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{look}<w:r><w:t>{text}</w:t></w:r></w:p>"


def pdf(text: str = "", password: str = "") -> bytes:
    """A PDF with one line of text, or an empty page as scanners make them."""
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(300, 300)
    if text:
        stream = pypdf.generic.DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
        font = pypdf.generic.DictionaryObject(
            {
                pypdf.generic.NameObject("/Type"): pypdf.generic.NameObject("/Font"),
                pypdf.generic.NameObject("/Subtype"): pypdf.generic.NameObject("/Type1"),
                pypdf.generic.NameObject("/BaseFont"): pypdf.generic.NameObject("/Helvetica"),
            }
        )
        fonts = pypdf.generic.DictionaryObject({pypdf.generic.NameObject("/F1"): font})
        page[pypdf.generic.NameObject("/Resources")] = pypdf.generic.DictionaryObject(
            {pypdf.generic.NameObject("/Font"): fonts}
        )
        page[pypdf.generic.NameObject("/Contents")] = writer._add_object(stream)
    if password:
        writer.encrypt(password)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


WEB_PAGE = """<html><head><title>帮助 · 退货</title><style>p{}</style></head><body>
<nav>首页</nav><main><h2>运费</h2><p>由<b>买家</b>承担 &amp; 可投保。</p><ul><li>一</li></ul>
<script>alert(1)</script><img src=x onerror=alert(1)></main><form>搜索</form></body></html>"""


@pytest.mark.parametrize(
    ("name", "content", "title", "body"),
    [
        ("退货.md", "# 退货规则\n\n三十天。".encode(), "退货规则", "三十天。"),
        ("退货.txt", "三十天。".encode("gb18030"), "退货", "三十天。"),
        ("退货.txt", "三十天。".encode("utf-16"), "退货", "三十天。"),
        ("退货.txt", b"\xef\xbb\xbf" + "三\0十天".encode().replace(b"\0", b""), "退货", "三十天"),
        ("a.docx", docx(paragraph("退货", "Heading1") + paragraph("三十天。")), "退货", "三十天。"),
        ("rules.pdf", pdf("Thirty days."), "rules", "Thirty days."),
        ("rules.PDF", pdf("Thirty days.", password=""), "rules", "Thirty days."),
    ],
)
def test_files_become_articles(name: str, content: bytes, title: str, body: str) -> None:
    assert importing.read(name, content) == importing.Document(title, body)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_web_page_gives_its_words_and_nothing_else(encoding: str) -> None:
    found = importing.read("x.html", WEB_PAGE.encode(encoding))

    assert found.title == "帮助 · 退货"
    assert found.body == "## 运费\n\n由**买家**承担 & 可投保。\n\n- 一"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.exe", b"MZ", "不支持这种文件"),
        ("a", b"x", "不支持这种文件"),
        ("a.txt", b"", "没有文字"),
        ("a.txt", b"MZ\0\1", "不是文本"),
        ("a.txt", b"\xff\xff\x80", "无法识别文字编码"),
        ("a.txt", b"x" * 200_001, "请分成几篇"),
        ("a.txt", b" " * (20 * 1024**2 + 1), "超过 20 MB"),
        ("a.docx", b"PK\x03\x04nonsense", "已损坏"),
        ("a.docx", b"\xd0\xcf\x11\xe0old", "旧的 .doc"),
        ("a.docx", docx("<w:p>"), "已损坏"),
        ("a.docx", docx(""), "没有文字"),
        ("a.pdf", b"%PDF-1.7 nonsense", "已损坏"),
        ("a.pdf", pdf("Secret", password="x"), "设有密码"),
        ("a.pdf", pdf(), "扫描件"),
        ("a.html", b"<div>" * 5_000 + b"deep", "嵌套太深"),
    ],
)
def test_what_cannot_be_imported_says_why(name: str, content: bytes, why: str) -> None:
    with pytest.raises(CannotImport, match=why):
        importing.read(name, content)


def test_a_word_file_that_unpacks_to_too_much_is_refused(monkeypatch: Any) -> None:
    monkeypatch.setattr(importing, "MOST_UNPACKED", 10_000)

    with pytest.raises(CannotImport, match="太大"):
        importing.read("a.docx", docx(paragraph("长" * 20_000)))


def test_a_file_imported_again_is_updated(db: None) -> None:
    first, new = articles.import_file("退货.md", "# 退货\n\n七天。".encode())
    again, new_again = articles.import_file("退货.md", "# 退货\n\n三十天。".encode())

    assert (first.pk, new, new_again) == (again.pk, True, False)
    assert [p.text for p in knowledge.search("退货", inbox_id=None)] == ["三十天。"]
    assert articles.language_of("Thirty days, 三十") == "zh"
    assert articles.language_of("Thirty days") == "en"


# Doors ----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "退货.md").write_text("# 退货\n\n三十天。")
    (tmp_path / "坏.pdf").write_bytes(b"%PDF nonsense")
    (tmp_path / "图.png").write_bytes(b"\x89PNG")
    return tmp_path


def test_the_command_imports_a_folder_and_tells_what_failed(
    web_inbox: Inbox, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="1 not imported"):
        call_command("import_articles", folder, "--inbox", web_inbox.key, "--category", "售后")

    out, err = capsys.readouterr()
    assert out.splitlines() == [f"{folder}/退货.md: imported, 1 passages"]
    assert "坏.pdf" in err
    article = Article.objects.get()
    assert (article.inbox, article.category) == (web_inbox, "售后")


def test_the_command_says_what_is_wrong(db: None, folder: Path) -> None:
    with pytest.raises(CommandError, match="there is no inbox 'nobody'"):
        call_command("import_articles", folder, "--inbox", "nobody")
    with pytest.raises(CommandError, match="1 not imported"):
        call_command("import_articles", folder / "gone.md")


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(factories.user(role=role))
    return client


IMPORT = "/admin/ai_gateway/article/import/"
ADD = "/admin/ai_gateway/article/add/"
FORM = {
    "title": "退货",
    "body": "三十天。",
    "language": "zh",
    "labels": "售后\n退款",
    "enabled": "on",
}


def file_of(name: str, text: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode())


def test_an_article_is_written_and_its_passages_shown(db: None) -> None:
    client = client_of("admin")

    client.post(ADD, {**FORM, "body": "## 期限\n\n<b>三十</b>天。"})
    article = Article.objects.get()
    page = client.get(f"/admin/ai_gateway/article/{article.pk}/change/").content.decode()

    assert article.labels == ["售后", "退款"]
    assert article.chunks.get().heading == "期限"
    assert "&lt;b&gt;三十&lt;/b&gt;天。</p></li>" in page


def test_files_are_imported_each_with_its_message(db: None) -> None:
    client = client_of("admin")
    documents = [file_of("退货.md", "三十天。"), file_of("坏.pdf", "%PDF"), file_of("空.txt", "")]

    page = client.post(
        IMPORT, {"documents": documents, "category": "售后", "inbox": ""}, follow=True
    ).content.decode()

    assert Article.objects.get().title == "退货"
    assert "已导入：退货" in page
    assert "坏.pdf: 文件已损坏" in page
    assert "空.txt: 文件里没有文字" in page
    assert LogEntry.objects.get().object_repr == "退货"


def test_the_import_page_opens_from_the_list_and_wants_a_file(db: None) -> None:
    client = client_of("admin")

    assert IMPORT in client.get("/admin/ai_gateway/article/").content.decode()
    assert "multiple" in client.get(IMPORT).content.decode()
    assert client.post(IMPORT, {}).status_code == 200
    assert not Article.objects.exists()


def test_only_admins_write_and_import(db: None) -> None:
    documents = [file_of("退货.md", "三十天。")]

    assert Client().post(IMPORT, {"documents": documents}).status_code == 302
    assert client_of("auditor").get(IMPORT).status_code == 403
    assert client_of("auditor").post(ADD, FORM).status_code == 403
    assert client_of("agent").get(IMPORT).status_code == 302
    assert IMPORT not in client_of("auditor").get("/admin/ai_gateway/article/").content.decode()
    assert not Article.objects.exists()


def test_an_article_that_is_too_long_is_refused(db: None) -> None:
    response = client_of("admin").post(ADD, {**FORM, "body": "长" * 200_001})

    assert response.status_code == 200
    assert "请分成几篇" in response.content.decode()


def test_the_list_costs_the_same_for_one_and_for_three(db: None, web_inbox: Inbox) -> None:
    client = client_of("admin")
    counts = []
    for more in (1, 2):
        for number in range(more):
            make_article(f"{more}{number}", "文字。", inbox=web_inbox)
        client.get("/admin/ai_gateway/article/")
        with CaptureQueriesContext(connection) as queries:
            client.get("/admin/ai_gateway/article/")
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_the_demo_writes_its_articles_once(shop: None) -> None:
    Article.objects.filter(title__startswith="发票").update(title="改过的")

    demo.install()

    assert Article.objects.count() == len(demo.ARTICLES) == 8
    assert Article.objects.filter(title="改过的").exists()
