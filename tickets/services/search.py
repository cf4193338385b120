"""Finding what was said: in Chinese and in everything else, by pairs of characters.

PostgreSQL's own full text knows no Chinese words, so both what is written and what is asked is
cut into bigrams by one function here. The index finds candidates; the text itself decides.
Messages are indexed within seconds (`index_new`); those that are not yet are looked through.
"""

import re
import time
import unicodedata
from collections.abc import Iterable

from django.db import connection
from django.db.models import Max, Q
from django.db.models.expressions import RawSQL

from tickets.models import Message, MessageWords

BATCH = 2_000  # messages a statement
LONGEST_S = 20.0  # that one round of indexing takes
# Messages whose transaction took longer may be committed after ones with a higher number.
LATE = 20_000
_RUN = re.compile(r"[^\W_]+")


def bigrams(text: str) -> list[str]:
    """The pairs of neighbouring characters of each run of letters and digits, and its last one.

    Compatibility forms and cases fall together: "Ｒefund" gives re ef fu un nd d.
    """
    runs = _RUN.findall(unicodedata.normalize("NFKC", text).lower())
    return sorted({run[at : at + 2] for run in runs for at in range(len(run))})


def _query(words: str) -> str:
    """A tsquery for texts that may hold these words; empty where they have no letter or digit."""
    runs = _RUN.findall(unicodedata.normalize("NFKC", words).lower())
    # One character alone is the beginning of a pair; the last one of longer runs is in a pair.
    pairs = {run[at : at + 2] for run in runs for at in range(len(run) - 1)}
    pairs |= {run for run in runs if len(run) == 1}
    return " & ".join(f"'{pair}'" + (":*" if len(pair) == 1 else "") for pair in sorted(pairs))


def conversations_in_which(words: str) -> Q:
    """A filter for conversations: somebody said just this in them, whatever the case."""
    said = Message.objects.filter(text__icontains=words).exclude(kind=Message.Kind.ACTIVITY)
    query = _query(words)
    if not query:
        return Q(pk__in=said.values("conversation"))
    matching = RawSQL(
        "SELECT message_id FROM tickets_messagewords WHERE words @@ %s::tsquery", [query]
    )
    newest = MessageWords.objects.aggregate(newest=Max("message_id"))["newest"] or 0
    found = said.filter(pk__in=matching).values("conversation")
    return Q(pk__in=found) | Q(pk__in=said.filter(pk__gt=newest).values("conversation"))


_NEW_SQL = """
    SELECT m.id, m.text FROM tickets_message m
     WHERE m.id > %s AND m.kind <> 'activity' AND m.text <> ''
       AND NOT EXISTS (SELECT 1 FROM tickets_messagewords w WHERE w.message_id = m.id)
     ORDER BY m.id LIMIT %s
"""
# By column: an array of arrays must be a rectangle, so each message's bigrams come as one text.
_WRITE_SQL = """
    INSERT INTO tickets_messagewords (message_id, words)
    SELECT k.message_id, array_to_tsvector(string_to_array(k.words, ' '))
      FROM unnest(%s::bigint[], %s::text[]) AS k(message_id, words)
        ON CONFLICT DO NOTHING
"""


def index_new(*, batch: int = BATCH, longest_s: float = LONGEST_S) -> int:
    """Index the messages that are not yet, the oldest first; how many that were."""
    until = time.monotonic() + longest_s
    count = 0
    while time.monotonic() < until:
        newest = MessageWords.objects.aggregate(newest=Max("message_id"))["newest"] or 0
        with connection.cursor() as cursor:
            cursor.execute(_NEW_SQL, [newest - LATE, batch])
            rows = cursor.fetchall()
            _write(rows)
        count += len(rows)
        if len(rows) < batch:
            break
    return count


def _write(rows: Iterable[tuple[int, str]]) -> None:
    cut = [(pk, " ".join(bigrams(text))) for pk, text in rows]
    if cut:
        with connection.cursor() as cursor:
            cursor.execute(_WRITE_SQL, [[pk for pk, _ in cut], [words for _, words in cut]])
