"""A big installation by set-based SQL, and how long the console's lists and search take there.

`python -m tests.bench.generate [--conversations 1000000] [--messages-each 10]` makes the rows in
throw-away servers, asks over HTTP for every kind of list page as agents do, searches through the
API, and prints how long that takes.
`fill()` alone works on any migrated, empty database.
"""

import argparse
import json
import time
from typing import Any

import django

from tests.bench import phrases, waits
from tests.bench.stacks import Product, Servers, run

TEAMS, AGENTS, INBOXES, LABELS = 10, 200, 12, 20
# The newest conversations are live, and of the older ones some that nobody closed.
LIVE = "(n > %(total)s * 97 / 100 OR n %% 200 = 0)"


def ordered_uuid(kind: str, number: str) -> str:
    """SQL for a made-up UUID that grows with the number, as the real ones grow with time."""
    digits = f"lpad(to_hex({number}), 12, '0')"
    return f"({digits} || '7{kind}8000' || {digits})::uuid"


def insert(cursor: Any, model: Any, values: dict[str, str], source: str, **parameters: Any) -> None:
    """INSERT … SELECT: `values` are SQL by column, the rest are the model's own defaults."""
    columns: dict[str, str] = {}
    for field in model._meta.concrete_fields:
        if field.column in values:
            columns[field.column] = values[field.column]
        elif not field.primary_key and not field.null:
            name = f"default_{field.column}"
            columns[field.column] = f"%({name})s"
            parameters[name] = field.get_db_prep_save(field.get_default(), cursor.db)
    names = ", ".join(f'"{column}"' for column in columns)
    selected = ", ".join(columns.values())
    cursor.execute(
        f'INSERT INTO "{model._meta.db_table}" ({names}) SELECT {selected} {source}', parameters
    )


def fill(conversations: int, messages_each: int) -> None:
    """All rows; needs `django.setup()`, an empty database, and its superuser."""
    from django.db import connection, transaction  # app ready

    with transaction.atomic(), connection.cursor() as cursor:
        # Foreign keys hold by construction; to check ten million of them would take minutes.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("SET LOCAL synchronous_commit = off")
        _people(cursor)
        _conversations(cursor, conversations)
        phrases.make_table(cursor)
        _messages(cursor, conversations, messages_each)
        phrases.index_all(cursor)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _people(cursor: Any) -> None:
    """Teams, agents in them, inboxes, labels."""
    from django.contrib.auth.models import Group, User  # app ready

    from tickets.models import Inbox, Label, Team  # app ready

    teams = Team.objects.bulk_create(
        [Team(slug=f"team-{n}", name=f"客服{n}组") for n in range(TEAMS)]
    )
    group, _ = Group.objects.get_or_create(name="agent")
    users = User.objects.bulk_create([User(username=f"agent-{n}") for n in range(AGENTS)])
    User.groups.through.objects.bulk_create(
        [User.groups.through(user=user, group=group) for user in users]
    )
    Team.members.through.objects.bulk_create(
        [Team.members.through(team=teams[n % TEAMS], user=user) for n, user in enumerate(users)]
    )
    Inbox.objects.bulk_create(
        [
            Inbox(key=f"inbox-{n}", type="web", name=f"网站{n}", team=teams[n % TEAMS])
            for n in range(INBOXES)
        ]
    )
    Label.objects.bulk_create([Label(name=f"标签{n}") for n in range(LABELS)])


def _conversations(cursor: Any, total: int) -> None:
    """A contact, an identity and a conversation for each number; one in thirty is live."""
    from tickets.models import Contact, ContactIdentity, Conversation  # app ready

    cursor.execute("SELECT min(id) FROM tickets_team")
    team = cursor.fetchone()[0]
    cursor.execute("SELECT min(id) FROM auth_user WHERE username LIKE 'agent-%%'")
    agent = cursor.fetchone()[0]
    cursor.execute("SELECT min(id) FROM tickets_inbox")
    inbox = cursor.fetchone()[0]
    base = {"total": total, "team": team, "agent": agent, "inbox": inbox}
    numbers = "FROM generate_series(1, %(total)s) AS n"
    made = "now() - interval '2 years' * (1 - n::float8 / %(total)s)"
    own = {"id": "n", "created_at": made}
    insert(
        cursor,
        Contact,
        own | {"public_id": ordered_uuid("001", "n"), "name": "'访客' || n", "updated_at": made},
        numbers,
        **base,
    )
    insert(
        cursor,
        ContactIdentity,
        own
        | {
            "public_id": ordered_uuid("002", "n"),
            "inbox_id": f"%(inbox)s + n %% {INBOXES}",
            "external_id": "'external-' || n",
            "home_id": "n",
            "contact_id": "n",
        },
        numbers,
        **base,
    )
    status = (
        f"CASE WHEN NOT {LIVE} THEN 'resolved'"
        " ELSE (ARRAY['bot', 'queued', 'open', 'open', 'waiting'])[1 + n %% 5] END"
    )
    with_agent = f"(NOT {LIVE} OR n %% 5 >= 2)"
    insert(
        cursor,
        Conversation,
        own
        | {
            "public_id": ordered_uuid("003", "n"),
            "contact_id": "n",
            "identity_id": "n",
            "reply_identity_id": "n",
            "inbox_id": f"%(inbox)s + n %% {INBOXES}",
            "team_id": f"CASE WHEN n %% 50 = 7 THEN NULL ELSE %(team)s + n %% {TEAMS} END",
            "assignee_id": f"CASE WHEN {with_agent} THEN %(agent)s + (n / 7) %% {AGENTS} END",
            "status": status,
            "owner_kind": f"CASE WHEN {with_agent} THEN 'agent'"
            " WHEN n %% 5 = 0 THEN 'bot' ELSE 'queue' END",
            "waiting_since": f"CASE WHEN {LIVE} AND n %% 5 <= 2 THEN {made} END",
            "priority": "1 + (n %% 13) / 4",
            "unread": f"CASE WHEN {LIVE} THEN n %% 4 ELSE 0 END",
            "last_seq": "10",
            "last_public_seq": "10",
            "last_message_at": f"{made} + interval '1 hour'",
            "updated_at": f"{made} + interval '1 hour'",
        },
        numbers,
        **base,
    )
    cursor.execute(
        "INSERT INTO tickets_conversation_labels (conversation_id, label_id)"
        " SELECT n, (SELECT min(id) FROM tickets_label) + n %% %s"
        " FROM generate_series(1, %s, 3) AS n",
        [LABELS, total],
    )
    for table in ("tickets_contact", "tickets_contactidentity", "tickets_conversation"):
        cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [table, total])


def _messages(cursor: Any, total: int, each: int) -> None:
    """`each` lines for every conversation: visitor and agent in turns."""
    from tickets.models import Message  # app ready

    cursor.execute("SELECT min(id) FROM auth_user WHERE username LIKE 'agent-%%'")
    agent = cursor.fetchone()[0]
    number = "((n::bigint - 1) * %(each)s + s)"
    insert(
        cursor,
        Message,
        {
            "id": number,
            "public_id": ordered_uuid("004", number),
            "conversation_id": "n",
            "seq": "s",
            "kind": "CASE WHEN s %% 2 = 1 THEN 'incoming' ELSE 'outgoing' END",
            "author_kind": "CASE WHEN s %% 2 = 1 THEN 'contact' ELSE 'agent' END",
            "author_user_id": f"CASE WHEN s %% 2 = 0 THEN %(agent)s + n %% {AGENTS} END",
            "identity_id": "n",
            "inbox_id": f"(SELECT min(id) FROM tickets_inbox) + n %% {INBOXES}",
            "client_id": "n || '-' || s",
            "text": f"text || CASE WHEN s = 1 THEN {phrases.ORDER} n ELSE '' END",
            "status": "'sent'",
            "created_at": "now() - interval '2 years' * (1 - n::float8 / %(total)s)"
            " + interval '5 minutes' * s",
        },
        "FROM generate_series(1, %(total)s) AS n CROSS JOIN generate_series(1, %(each)s) AS s"
        f" JOIN bench_phrase ON k = {phrases.place(number)}",
        total=total,
        each=each,
        agent=agent,
    )
    cursor.execute(
        "SELECT setval(pg_get_serial_sequence('tickets_message', 'id'), %s)", [total * each]
    )


def let_in() -> dict[str, Any]:
    """Session cookies of some agents that `fill` made, and the key of a program that sees all."""
    from django.contrib.auth.models import User  # app ready

    from tests.bench.seed import log_in  # app ready
    from tickets.services import api_keys  # app ready

    names = [f"agent-{number}" for number in range(0, AGENTS, 40)]
    sessions = [log_in(User.objects.get(username=name)) for name in names]
    _, token = api_keys.create(name="bench", scopes=["read"], per_minute=1_000_000)
    return {"sessions": sessions, "api_key": token}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.generate", description=__doc__)
    parser.add_argument("--conversations", type=int, default=1_000_000)
    parser.add_argument("--messages-each", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--fill-only", action="store_true", help="into DATABASE_URL, and end")
    chosen = parser.parse_args()
    if chosen.fill_only:
        django.setup()
        fill(chosen.conversations, chosen.messages_each)
        print(json.dumps(let_in()))
        return
    with Servers(cores=(0, 1)) as servers:
        product = Product(servers, cores=(0, 1))
        run(["manage.py", "migrate", "-v", "0"], product.environment)
        began = time.perf_counter()
        sizes = ["--conversations", str(chosen.conversations)]
        sizes += ["--messages-each", str(chosen.messages_each)]
        arguments = ["-m", "tests.bench.generate", "--fill-only", *sizes]
        let = json.loads(run(arguments, product.environment, timeout_s=1800))
        print(f"made in {time.perf_counter() - began:.0f} s")
        product.start()
        try:
            lists = waits.of_lists(product.url, let["sessions"], chosen.rounds)
            searches = waits.of_search(product.url, let["api_key"], chosen.rounds)
            shown = {"lists": lists, "search_ms": searches}
            print(json.dumps(shown, indent=2, ensure_ascii=False))
        finally:
            product.stop()


if __name__ == "__main__":
    main()
