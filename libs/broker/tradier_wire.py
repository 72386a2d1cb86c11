"""Tradier's primitive shapes: its ways of saying nothing, one or many; its numbers, times and refusals. Pure.

1. A missing value is None, never 0.
2. Refusals keep the broker's words; nothing else of a body leaves this module in an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any, Final

from libs.common.errors import NotFound, UpstreamAuth, UpstreamRefused
from libs.common.http_call import Answer, Unreadable

Raw = Mapping[str, Any]
MAX_WORDS: Final = 300
_MARKUP: Final = re.compile(r"<\s*(!doctype|html|head|body)\b", re.IGNORECASE)


def many(value: Any, key: str) -> list[Raw]:
    """List the objects under `key` of a collection: the string "null", null, one object or many. Raises: Unreadable."""
    if value is None or value in ("", "null"):
        return []
    if not isinstance(value, Mapping):
        raise Unreadable(f"a collection of {key} is not an object")
    inner = value.get(key)
    if inner is None or inner == "null":
        return []
    items = inner if isinstance(inner, list) else [inner]
    if not all(isinstance(item, Mapping) for item in items):
        raise Unreadable(f"a {key} is not an object")
    return items


def strings(value: Any) -> list[str]:
    """List what may be missing, one string or many."""
    if value is None or value == "null":
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def decimal(value: Any) -> Decimal | None:
    """Read a number that may come as a number or a string, `0E-8` included; `4.20000000` becomes 4.2.

    Raises: Unreadable.
    """
    if value is None or value in ("", "null") or isinstance(value, bool):
        return None
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        raise Unreadable("a number is not one") from None
    if not number.is_finite():
        raise Unreadable("a number is not finite")
    plain = number.normalize()
    return plain if plain.as_tuple().exponent <= 0 else plain.quantize(Decimal(1))  # type: ignore[operator]


def integer(value: Any) -> int | None:
    """Read a count, which comes as `1.00000000`. A fraction is cut off."""
    number = decimal(value)
    return None if number is None else int(number.to_integral_value(ROUND_DOWN))


def real(value: Any) -> float | None:
    """Read a sensitivity."""
    number = decimal(value)
    return None if number is None else float(number)


def text(value: Any) -> str | None:
    """Read a string; empty and "null" are missing."""
    return None if value is None or value in ("", "null") else str(value)


def identifier(raw: Raw) -> str:
    """Read an object's id, a whole number. Raises: Unreadable."""
    value = raw.get("id")
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdigit():
        raise Unreadable("an object has no id")
    return str(value)


def instant(value: Any) -> datetime | None:
    """Read an ISO time; without a zone it is UTC. None when unreadable: no decision hangs on it alone."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def epoch(value: Any, per_second: int) -> datetime | None:
    """Read an epoch; zero is missing."""
    number = integer(value)
    return datetime.fromtimestamp(number / per_second, UTC) if number and number > 0 else None


def day(value: Any) -> date | None:
    """Read a date; None when missing or unreadable."""
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None


def words(value: str) -> str:
    """Keep a refusal's words readable: one line, no markup, no more than a sentence or two."""
    if _MARKUP.search(value):
        return "the broker answered with a web page"
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in value).split())
    return plain[:MAX_WORDS] or "the broker gave no reason"


def refusals(data: Any) -> list[str] | None:
    """Return the refusals of a body: `errors.error` is a string or a list. None when it holds none."""
    if not isinstance(data, Mapping):
        return None
    errors = data.get("errors")
    if errors is None:
        return None
    said = errors.get("error") if isinstance(errors, Mapping) else errors
    return [words(item) for item in strings(said)] or ["the broker gave no reason"]


def refused(reasons: list[str]) -> UpstreamRefused:
    """Build the refusal of a body's errors: all words in `detail`, one by one in `reasons`."""
    return UpstreamRefused("; ".join(reasons), reasons=reasons)


def fault_code(data: Any) -> str | None:
    """Return the error code of a gateway fault; "" when it names none; None when the body is no fault."""
    fault = data.get("fault") if isinstance(data, Mapping) else None
    if not isinstance(fault, Mapping):
        return None
    detail = fault.get("detail")
    return str(detail.get("errorcode") or "") if isinstance(detail, Mapping) else ""


def _loosely(answer: Answer) -> Any:
    try:
        return answer.exact_json()
    except Unreadable:
        return None


def read_body(answer: Answer, what: str, *, by_id: bool = False) -> Raw:
    """Return a read's JSON object. `by_id`: the 401 text means that there is no such order, not a refused token.

    Raises: UpstreamAuth, UpstreamRefused (`blocked` when the account is), NotFound (only `by_id`); Unreadable when it
    is worth asking again.
    """
    if answer.is_ok:
        return _success_body(answer)
    data = _loosely(answer)
    if answer.status == 401 and by_id and fault_code(data) is None and answer.text.startswith("Unauthorized Account"):
        raise NotFound(f"the broker knows no such order ({what})")
    if answer.status == 401 or (fault_code(data) or "").startswith("keymanagement."):
        raise UpstreamAuth(f"the broker refused the token ({what})")
    if answer.status == 403:
        raise UpstreamRefused(f"the broker forbids this ({what})", blocked=True)
    if answer.status == 400:
        raise refused(refusals(data) or [words(answer.text)])
    raise Unreadable(f"status {answer.status}")


def write_body(answer: Answer, what: str, *, by_id: bool = False) -> Raw:
    """Return an accepted write's JSON object. Raises: as `read_body`, and a 403 is a refusal; Unreadable: unknown."""
    if answer.status == 403:
        raise refused(refusals(_loosely(answer)) or [words(answer.text)])
    return read_body(answer, what, by_id=by_id)


def _success_body(answer: Answer) -> Raw:
    data = answer.exact_json()
    if not isinstance(data, Mapping) or fault_code(data) is not None:
        raise Unreadable("status 200 without the expected object")
    reasons = refusals(data)
    if reasons is not None:
        raise refused(reasons)
    return data


def order_id(data: Raw) -> str:
    """Return the id of an accepted order. Raises: Unreadable."""
    order = data.get("order")
    if not isinstance(order, Mapping):
        raise Unreadable("no order in the answer")
    return identifier(order)
