"""What a text is searched by: pairs of Chinese characters, and words of all other scripts.

One function for what is written and for what is asked. Chinese is cut by the bigrams of the
search in conversations; a Latin word stays whole, for its pairs are in every text.
"""

import re
import unicodedata

from tickets.services.search import bigrams

_CJK = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUN = re.compile(rf"[{_CJK}]+|[0-9]+|[^\W_0-9{_CJK}]+")
_IS_CJK = re.compile(rf"[{_CJK}]")

# Pairs and words that most questions have, whatever they are about.
_COMMON_WORDS = (
    "怎么 么样 什么 为什 如何 可以 以吗 是否 能不 不能 请问 问一 一下 你好 您好 我想 想问 想要 "
    "我要 我的 你们 我们 他们 这个 那个 有没 没有 是不 不是 需要 多少 多久 多长 哪里 哪些 哪个 "
    "怎样 知道 告诉 帮我 麻烦 谢谢 的话 个问 问题 时候 现在 一个 还是 或者 如果 因为 所以 但是 "
    "the a an of to in on at is are was be do does did how what when where which who why can "
    "could will would should i you he she it we they my your our me and or for with this that "
    "there have has had not no please if from by as about"
)
_COMMON = frozenset(_COMMON_WORDS.split())
COMMON_WEIGHT = 0.1
SINGLE_WEIGHT = 0.3  # of a digit or letter alone, as in AirPure 3
_LAST = 200  # terms of a question that are looked for


def terms(text: str) -> list[str]:
    """The terms of a text, each once. Letters and digits only, so that any can be quoted."""
    found: set[str] = set()
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).lower()):
        found.update(bigrams(run) if _IS_CJK.match(run) else [_singular(run)])
    return sorted(found)


def asked(text: str) -> dict[str, float]:
    """The terms of a question and how much each tells. One character alone is no term of it."""
    tells = (term for term in terms(text) if len(term) > 1 or not _IS_CJK.match(term))
    return {term: _weight(term) for term in list(tells)[:_LAST]}


def _weight(term: str) -> float:
    grammatical = any(character in "的了吗呢啊吧呀嘛哦么我你您" for character in term)
    if term in _COMMON or grammatical:
        return COMMON_WEIGHT
    return SINGLE_WEIGHT if len(term) == 1 else 1.0


def _singular(word: str) -> str:
    """English plurals fall together with their word: refunds, refund."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
