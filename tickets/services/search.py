"""Finding what was said: in Chinese and in everything else, by pairs of characters.

PostgreSQL's own full text knows no Chinese words, so both what is written and what is asked is
cut into bigrams by one function here. The index finds candidates; the text itself decides.
Messages are indexed within seconds (`index_new`); those that are not yet are looked through.
"""

import re
import time
import unicodedata
from collections.abc import Iterable
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Max, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from tickets import prepared
from tickets.models import Message, MessageWords

FEW = 2_000  # messages that are found one by one; more are so many that a list is full of them
RECENT = 50_000  # the newest messages; what none of them says was said at other times
SLACK = timedelta(hours=1)  # messages are numbered almost in the order of their moments
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
    """A filter for conversations: somebody said just this in them, whatever the case.

    Where few messages say it, the filter names their conversations. Where many do, looking
    through all of them would take seconds, but whoever walks down a list soon meets some: the
    filter then looks into each conversation of the time in which it was said.
    """
    said = Message.objects.filter(text__icontains=words).exclude(kind=Message.Kind.ACTIVITY)
    here = said.filter(conversation=OuterRef("pk")).values(found=Value(True))
    # No EXISTS: it would become a join, which reads all messages first.
    walk = Q(Coalesce(Subquery(here[:1]), Value(False)))
    query = _query(words)
    if not query:
        return walk
    with transaction.atomic():
        prepared.plan_for_growth()
        newest = MessageWords.objects.aggregate(newest=Max("message_id"))["newest"] or 0
        found = _conversations_by_index(said, query, newest)
        if len(found) <= FEW:
            return Q(pk__in=set(found))
        lately = said.filter(pk__gt=newest - RECENT).exists()
        return walk if lately else _time_of(query) & walk


def _conversations_by_index(said: QuerySet[Message], query: str, newest: int) -> list[int]:
    """The conversation of each message that is found; more than FEW are not found to the end."""
    matching = RawSQL(
        "SELECT message_id FROM tickets_messagewords WHERE words @@ %s::tsquery", [query]
    )
    indexed = said.filter(pk__in=matching).values_list("conversation_id", flat=True)
    found = list(indexed[: FEW + 1])
    if len(found) <= FEW:
        found += said.filter(pk__gt=newest).values_list("conversation_id", flat=True)[: FEW + 1]
    return found


# "+ 0": by the index of words, not along the key until the first one comes.
_TIME_SQL = """
    SELECT min(m.created_at), max(m.created_at) FROM tickets_message m,
           (SELECT min(message_id + 0) AS first, max(message_id + 0) AS last
              FROM tickets_messagewords WHERE words @@ %s::tsquery) w
     WHERE m.id IN (w.first, w.last)
"""


def _time_of(query: str) -> Q:
    """Conversations that lasted while any of the messages that may match was written."""
    with connection.cursor() as cursor:
        cursor.execute(_TIME_SQL, [query])
        first, last = cursor.fetchone()
    if first is None:
        return Q()
    return Q(created_at__lte=last + SLACK, last_message_at__gte=first - SLACK)


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
    while True:
        newest = MessageWords.objects.aggregate(newest=Max("message_id"))["newest"] or 0
        with connection.cursor() as cursor:
            cursor.execute(_NEW_SQL, [newest - LATE, batch])
            rows = cursor.fetchall()
            _write(rows)
        count += len(rows)
        if len(rows) < batch or time.monotonic() >= until:
            return count


def _write(rows: Iterable[tuple[int, str]]) -> None:
    cut = [(pk, " ".join(bigrams(text))) for pk, text in rows]
    if cut:
        with connection.cursor() as cursor:
            cursor.execute(_WRITE_SQL, [[pk for pk, _ in cut], [words for _, words in cut]])
