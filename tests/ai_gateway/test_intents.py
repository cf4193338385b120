"""What contacts want: how well it is told, and how fast."""

import json
import time
from io import StringIO
from pathlib import Path

import pytest
from django.core.cache import cache
from django.core.cache.backends.redis import RedisCache
from django.core.management import CommandError, call_command

from ai_gateway.intents import current
from ai_gateway.intents.classifier import MIN_CONFIDENCE, Classifier
from ai_gateway.intents.evaluation import evaluate, read_cases
from ai_gateway.intents.features import features
from ai_gateway.intents.shipped import EVALUATION_SET, shipped
from ai_gateway.models import Intent

pytestmark = pytest.mark.usefixtures("new_process")

FLOOR = 0.90


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier({intent.key: intent.examples for intent in shipped()})


def test_the_shipped_intents_have_enough_varied_examples() -> None:
    examples = [text for intent in shipped() for text in intent.examples]

    assert len(shipped()) == 30
    assert min(len(intent.examples) for intent in shipped()) >= 60
    assert len(set(examples)) == len(examples)


def test_nothing_that_is_measured_was_learned(classifier: Classifier) -> None:
    learned = {features(text) for intent in shipped() for text in intent.examples}
    cases = read_cases(EVALUATION_SET, classifier.intents)

    assert [case.text for case in cases if features(case.text) in learned] == []
    assert {case.intent for case in cases} == set(classifier.intents)


def test_intents_are_told_well(classifier: Classifier) -> None:
    report = evaluate(classifier, read_cases(EVALUATION_SET, classifier.intents))

    assert report.macro_f1 >= FLOOR


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("手机无法支付", "payment_issue"),
        ("用户说手机无法支付", "payment_issue"),
        ("refund 怎么还没到账", "refund_request"),
        ("物流一周没动了急死", "logistics_query"),
        ("退貨地址", "return_exchange"),
        ("ＲＥＦＵＮＤ！！！", "refund_request"),
        ("你好", "greeting"),
        ("謝謝", "thanks_goodbye"),
    ],
)
def test_what_is_plain_is_told(classifier: Classifier, text: str, intent: str) -> None:
    guess = classifier.guess(text)

    assert guess is not None
    assert guess.intent == intent
    assert guess.runner_up != intent
    assert MIN_CONFIDENCE <= guess.confidence <= 1


@pytest.mark.parametrize("text", ["", "   ", "😀🎉", "？！…", "\x00\ud800", "ສະບາຍດີ", "მადლობა"])
def test_what_says_nothing_has_no_intent(classifier: Classifier, text: str) -> None:
    assert classifier.guess(text) is None


def test_a_very_long_text_is_read_at_its_start(classifier: Classifier) -> None:
    guess = classifier.guess("我要退款。" * 2_000)

    assert guess is not None
    assert guess.intent == "refund_request"


def test_the_same_examples_give_the_same_model() -> None:
    examples = {"a": ["退款", "退钱"], "b": ["你好", "您好"]}

    assert Classifier(examples).guess("退") == Classifier(examples).guess("退")
    assert Classifier({}).guess("退") is None


def test_a_guess_takes_less_than_a_millisecond(classifier: Classifier) -> None:
    texts = [case.text for case in read_cases(EVALUATION_SET, classifier.intents)]
    began = time.thread_time()
    for text in texts:
        classifier.guess(text)

    assert (time.thread_time() - began) / len(texts) < 0.001


# Of the database ------------------------------------------------------------------------------


@pytest.fixture
def two(db: None) -> None:
    Intent.objects.all().delete()
    Intent.objects.create(key="money", name="钱", examples=["退款", "退钱", "还我钱"])
    Intent.objects.create(key="hello", name="好", examples=["你好", "在吗"])


def test_a_change_is_learned_and_nothing_else_is(two: None) -> None:
    first = current.current()
    assert current.current() is first

    Intent.objects.create(key="parcel", name="件", examples=["快递到哪了"])

    assert current.current() is first  # while the change is learned
    guess = current.newest().guess("快递到哪了")
    assert guess is not None
    assert guess.intent == "parcel"


def test_one_that_is_switched_off_is_told_no_more(two: None) -> None:
    assert current.current().intents == ("hello", "money")

    Intent.objects.filter(key="money").update(enabled=False)

    assert current.newest().intents == ("hello",)
    assert current.current() is current.newest()


def test_what_one_process_learned_the_next_one_finds(
    two: None, clean_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = current.current()
    monkeypatch.setattr(current, "_kept", None)  # as a new process
    monkeypatch.setattr(current, "_learned", None)  # it must not

    found = current.current()

    assert found is not learned
    assert found.guess("我要退款") == learned.guess("我要退款")


def test_a_model_that_was_written_out_is_the_same(classifier: Classifier) -> None:
    loaded = Classifier.load(classifier.dump())

    texts = [case.text for case in read_cases(EVALUATION_SET, classifier.intents)]
    assert [loaded.guess(text) for text in texts] == [classifier.guess(text) for text in texts]


def test_a_cache_that_holds_something_else_or_is_away_is_no_harm(
    two: None, clean_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.set(current._key(current._examples()), b"nonsense", 60)
    assert current.current().intents == ("hello", "money")

    monkeypatch.setattr(current, "_kept", None)
    monkeypatch.setattr(current, "shared", RedisCache("redis://127.0.0.1:1/0", {}))
    assert current.current().intents == ("hello", "money")


def test_beside_others_it_learns_in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other threads' turns come while it learns, and what it learns is the same."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    examples = {"a": ["退款", "退钱"] * 20, "b": ["你好", "您好"] * 20}

    aside = Classifier(examples, pause_s=0.001)

    assert pauses == [0.001] * 32  # eight passes over eighty sentences, twenty at a time
    assert aside.guess("退") == Classifier(examples).guess("退")


def evaluated(*args: str) -> list[str]:
    output = StringIO()
    call_command("evaluate_intents", *args, stdout=output)
    return output.getvalue().splitlines()


def cases(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def case(text: str, intent: str) -> str:
    return json.dumps({"text": text, "intent": intent}, ensure_ascii=False)


def test_the_command_measures_what_the_database_has(two: None, tmp_path: Path) -> None:
    lines = evaluated("--file", cases(tmp_path, case("退款吧", "money"), case("还我钱", "hello")))

    assert lines[-3:] == ["hello → money: 1", "accuracy 0.500 of 2", "macro-F1 0.333"]
    assert lines[1].split() == ["hello", "0.000", "0.000", "0.000", "1"]


def test_without_intents_it_measures_the_shipped_ones(db: None) -> None:
    Intent.objects.all().delete()

    assert float(evaluated()[-1].removeprefix("macro-F1 ")) >= FLOOR


def test_the_command_says_what_is_wrong_and_where(two: None, tmp_path: Path) -> None:
    bad = cases(
        tmp_path,
        case("在吗", "hello"),
        "{",
        "[1]",
        '{"text": "在吗"}',
        case("在吗", "nobody"),
        '{"text": "a", "intent": "hello", "x": 1}',
    )

    with pytest.raises(CommandError) as caught:
        evaluated("--file", bad)

    told = str(caught.value).splitlines()
    assert [line.removeprefix(bad).split(": ")[0] for line in told] == [
        f":{n}" for n in range(2, 7)
    ]
    assert told[1].endswith('not an object {"text", "intent"}')
    assert told[3].endswith("unknown intent 'nobody'; known: hello, money")
    with pytest.raises(CommandError, match="No such file"):
        evaluated("--file", str(tmp_path / "gone"))
    with pytest.raises(CommandError, match="holds no case"):
        evaluated("--file", cases(tmp_path))
