"""The rules of the house: each catches what it is for and leaves its good twin alone; the tree itself keeps them."""

from __future__ import annotations

import textwrap

import pytest

from tools.lint_rules import findings, sources
from tools.rules.source import Source


def _rules(path: str, code: str) -> list[str]:
    return [one.rule for one in findings(Source(path, textwrap.dedent(code)))]


CAUGHT = [
    ("no-commit", "services/orders/closing.py", "await connection.commit()"),
    ("no-commit", "services/orders/closing.py", "session.rollback()"),
    ("no-sql", "services/orders/closing.py", 'rows = "select id from orders.trades where x = 1"'),
    ("no-sql", "services/orders/closing.py", 'rows = f"update {schema}.trades set x = 1"'),
    ("no-sql", "libs/common/service.py", 'q = "\\n  delete from inbox"'),
    ("no-sql", "libs/common/service.py", 'q = "with due as (select 1) select * from due"'),
    ("no-raw-subject", "services/orders/handlers.py", 'await bus.publish("cmd.orders.bob.place_trade", b"")'),
    ("no-raw-subject", "services/gateway/fanout.py", 'subject = f"tick.{kind}.{user}"'),
    ("no-raw-subject", "libs/common/process.py", 'subject = f"wake.{name}"'),
    ("no-float-money", "services/orders/limits.py", "def cost(entry_price: float) -> Decimal: ..."),
    ("no-float-money", "services/orders/limits.py", "class T:\n    realized_pnl: float | None = None"),
    ("no-float-money", "libs/broker/tradier.py", "limit = float(order.price)"),
    ("no-float-money", "services/orders/limits.py", "def heat_usd() -> float: ..."),
    ("state-home", "services/orders/closing.py", "trade = replace(trade, status=TradeStatus.CLOSED)"),
    ("state-home", "services/orders/closing.py", "trade = dataclasses.replace(trade, close_reason=reason)"),
    ("state-home", "services/orders/closing.py", "trade.protection = Protection.NAKED"),
    ("library-home", "services/orders/handlers.py", "import nats"),
    ("library-home", "libs/common/consumers.py", "from nats.js import api"),
    ("library-home", "services/orders/handlers.py", "from sqlalchemy import select"),
    ("library-home", "services/orders/handlers.py", "import asyncpg"),
    ("no-bare-task", "services/orders/handlers.py", "def go():\n    asyncio.create_task(work())"),
    ("no-bare-task", "services/orders/handlers.py", "def go():\n    keep = asyncio.ensure_future(work())"),
    ("vague-name", "services/orders/utils.py", "x = 1"),
    ("vague-name", "libs/common/helpers/text.py", "x = 1"),
    ("no-sleep", "tests/unit/test_x.py", "async def test_it():\n    await asyncio.sleep(0.1)"),
    ("no-sleep", "tests/unit/test_x.py", "class TestIt:\n    def test_it(self):\n        time.sleep(1)"),
    ("todo", "services/orders/handlers.py", "x = 1  # TODO: later"),
    ("budget", "services/orders/handlers.py", "x = 1\n" * 301),
    ("budget", "services/orders/lifecycle.py", "x = 1\n" * 401),
    ("budget", "tests/unit/test_x.py", "x = 1\n" * 501),
    ("budget", "services/orders/lifecycle.py", "def long():\n" + "    x = 1\n" * 60),
    ("worker-door", "services/orders/handlers.py", "async def peek(deps):\n    async with deps.db.for_worker(): ..."),
    (
        "worker-door",
        "libs/common/outbox.py",
        "class Relay:\n    async def peek(self):\n        async with self._db.for_worker(): ...",
    ),
    (
        "no-io-in-unit",
        "services/orders/closing.py",
        """
        async def close(deps):
            async with deps.db.for_user("bob") as unit:
                if unit:
                    reply = await deps.bus.ask(GetTrade(), user="bob")
        """,
    ),
    (
        "no-io-in-unit",
        "services/orders/closing.py",
        "async def f(db):\n    async with db.for_user('bob') as unit:\n        await asyncio.sleep(1)",
    ),
    (
        "no-io-in-unit",
        "services/orders/closing.py",
        "async def f(d):\n    async with d.db.for_user('b') as u:\n        await d.broker.cancel(order)",
    ),
]

LEFT_ALONE = [
    ("services/orders/store.py", 'ROWS = "select id from orders.trades"'),
    ("services/orders/migrations/versions/0001_initial.py", 'op.execute("create table x (id text)")'),
    ("services/orders/closing.py", 'def f():\n    """Select one from many, and update the set."""'),
    ("services/orders/closing.py", 'raise Conflict("select another account from the list")'),
    ("services/orders/closing.py", 'word = "evt"; other = "tick"; text = "cmd. means command"'),
    ("services/orders/closing.py", "def share(fee_pct: float, price_age_s: float, bid_iv: float) -> float: ..."),
    ("services/orders/closing.py", "def age(moment_s: float) -> float: ..."),
    ("simulator/market.py", "def path(price: float) -> float: ..."),
    ("services/orders/lifecycle.py", "trade = replace(trade, status=TradeStatus.CLOSED)"),
    ("services/monitor/reconcile.py", "order = replace(order, status=OrderStatus.FILLED)"),
    ("services/orders/closing.py", "order = Order(status=OrderStatus.INTENT)"),
    ("services/orders/store.py", "from sqlalchemy import select"),
    ("libs/common/link.py", "import nats.errors"),
    ("services/orders/handlers.py", "async def go(tasks):\n    tasks.create_task(work())"),
    (
        "services/orders/handlers.py",
        "async def go():\n    t = asyncio.ensure_future(w())\n    try:\n        await t\n    finally: t.cancel()",
    ),
    ("tests/unit/test_x.py", "async def test_it():\n    await asyncio.sleep(0)"),
    ("tests/unit/test_x.py", "async def test_it():\n    async def slow_vendor():\n        await asyncio.sleep(1)"),
    ("services/orders/handlers.py", "x = 1  # TODO(issue 7): say it in the banner"),
    ("libs/common/outbox.py", "class Relay:\n    async def turn(self):\n        async with self._db.for_worker(): ..."),
    (
        "services/orders/closing.py",
        """
        async def f(d):
            async with d.db.for_user('b') as unit:
                await store.save(unit, 1)
            await d.bus.ask(1)
        """,
    ),
]


@pytest.mark.parametrize(("rule", "path", "code"), CAUGHT, ids=[f"{rule}-{n}" for n, (rule, _, _) in enumerate(CAUGHT)])
def test_a_rule_catches_what_it_is_for(rule: str, path: str, code: str) -> None:
    assert rule in _rules(path, code)


@pytest.mark.parametrize(("path", "code"), LEFT_ALONE, ids=[str(number) for number in range(len(LEFT_ALONE))])
def test_good_code_is_left_alone(path: str, code: str) -> None:
    assert _rules(path, code) == []


def test_an_excuse_needs_the_rule_and_a_reason() -> None:
    path, code = "services/orders/handlers.py", "def go():\n    asyncio.create_task(work())"
    assert _rules(path, f"{code}  # house: no-bare-task - shared by every caller, kept in a dict") == []
    assert _rules(path, f"{code}  # house: no-bare-task -") == ["no-bare-task"]
    assert _rules(path, f"{code}  # house: budget - another rule") == ["no-bare-task"]


def test_a_finding_names_the_place_as_editors_read_it() -> None:
    found = next(findings(Source("services/orders/closing.py", "\nimport nats\n")))
    assert str(found).startswith("services/orders/closing.py:2: library-home: ")


def test_the_tree_keeps_the_rules() -> None:
    assert [str(one) for source in sources([]) for one in findings(source)] == []
