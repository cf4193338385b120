"""From a sentence to what it is recognised by: words of one meaning, characters, and their pairs.

Chinese is not segmented: single characters and neighbouring pairs serve it without a dictionary.
Beside them stands a small list of words that mean the same to a shop (`data/concepts.yaml`):
快递, 包裹 and 物流 are one feature, so that an example with one of them serves the others.
"""

import re
import unicodedata
from functools import cache
from itertools import pairwise
from pathlib import Path

import opencc
import yaml

from tickets.text import clean

MAX_TEXT = 500  # characters that are looked at: what is wanted stands at the start or not at all

CONCEPTS = Path(__file__).parent.parent / "data" / "concepts.yaml"
_TOKEN = re.compile(r"[a-z]+|[0-9]+|[^\W0-9a-z_]")
_KEPT_NUMBERS = frozenset({"12315", "315", "12345", "400", "666", "88", "886"})


@cache
def _simplifier() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


# How people begin before they say what they want.
_OPENING = re.compile(
    r"^(?:[\W_]*(?:(?:您|你)们?好[呀啊哦吖]?|哈喽|hello|hi|嗨|亲[亲爱的]*|在吗|在不在?|有人(?:在)?吗"
    r"|客服(?:小姐姐|小哥哥|妹妹|亲)?|老板|店家|掌柜|早上好|上午好|下午好|晚上好"
    r"|请问(?:一下)?|我?想?请?(?:问|咨询)(?:一下|下)?|麻烦问?(?:一下|下)?))+[\W_]*"
)
_MATTER = 4  # characters that have to be left behind it, else the opening is all there is


def normalised(text: str) -> str:
    """Half width, no case, simplified characters, without a greeting before the matter."""
    folded = unicodedata.normalize("NFKC", clean(text[:MAX_TEXT])).casefold()
    plain = str(_simplifier().convert(folded))
    matter = _OPENING.sub("", plain)
    return matter if len(matter) >= _MATTER else plain


def tokens(text: str) -> list[str]:
    """Single characters, Latin words, and `#` for a number; no punctuation, no emoji."""
    found = _TOKEN.findall(normalised(text))
    return ["#" if token.isdigit() and token not in _KEPT_NUMBERS else token for token in found]


def features(text: str) -> tuple[str, ...]:
    """Each feature once; empty where the text holds neither letters nor digits."""
    found = tokens(text)
    if not found:
        return ()
    framed = ["^", *found, "$"]
    marks = dict.fromkeys(found)
    marks |= dict.fromkeys(f"{one} {two}" for one, two in pairwise(framed))
    marks |= dict.fromkeys(_pieces(found))
    marks |= dict.fromkeys(_concept_marks(normalised(text)))
    return tuple(marks)


def _pieces(found: list[str]) -> list[str]:
    """Parts of three letters of Latin words: a typo or an ending changes few of them."""
    words = [token for token in found if len(token) > 3 and token.isascii()]
    return [f"~{word[i : i + 3]}" for word in words for i in range(len(word) - 2)]


def _concept_marks(text: str) -> list[str]:
    """The concepts of a text, alone and with the one that stands next after them."""
    names = _concepts_in(text)
    return [f"@{name}" for name in names] + [f"@{a}@{b}" for a, b in pairwise(names)]


def _concepts_in(text: str) -> list[str]:
    """In their order; of words that begin at the same place the longest counts."""
    pattern, names = _concepts()
    return [names[found.group()] for found in pattern.finditer(text)]


@cache
def _concepts() -> tuple[re.Pattern[str], dict[str, str]]:
    """A pattern of all words, and word -> concept."""
    lists: dict[str, str] = yaml.safe_load(CONCEPTS.read_text(encoding="utf-8"))
    names = {word: name for name, words in lists.items() for word in words.split()}
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))), names
