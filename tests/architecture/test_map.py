"""The map of the largest service names each of its modules, and none that is gone."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]

UNNAMED = {"__init__", "__main__", "service"}


def test_every_module_of_orders_stands_once_in_the_map() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = page[page.index("## Inside orders") : page.index("`service` lists every handler")]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "`" in line]
    named = Counter(name for row in rows for name in re.findall(r"`(\w+)`", row))
    there = {path.stem for path in (ROOT / "services/orders").glob("*.py")} - UNNAMED
    assert set(named) == there
    assert [name for name, times in named.items() if times > 1] == []
