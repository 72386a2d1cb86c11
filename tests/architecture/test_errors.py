"""The error tree: complete, drawn as it is, and the same on both sides of the bus and of HTTP."""

from __future__ import annotations

import re

import orjson
import pytest

from libs.common import errors
from libs.common.errors import BY_CODE, AppError, Disposition, all_errors
from libs.common.problems import encoded, public, rebuilt

ERRORS = all_errors()

STATED = {
    "InvalidInput": 422,
    "MarketClosed": 422,
    "IdempotencyMismatch": 422,
    "Unauthenticated": 401,
    "Forbidden": 403,
    "LiveNotEnabled": 403,
    "NotFound": 404,
    "TooLarge": 413,
    "Throttled": 429,
    "Conflict": 409,
    "StaleVersion": 409,
    "ContractInUse": 409,
    "IdempotencyInProgress": 409,
    "FlowRunning": 409,
    "Expired": 409,
    "IllegalTransition": 409,
    "LimitExceeded": 409,
    "KillSwitchOn": 409,
    "UpstreamRefused": 422,
    "UpstreamAuth": 424,
    "UpstreamUnavailable": 503,
    "OutcomeUnknown": 202,
    "NoAnswer": 504,
    "InvariantBroken": 500,
}


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_class_states_status_title_disposition_and_meaning_itself(kind: type[AppError]) -> None:
    for name in ("status", "title", "disposition", "code"):
        assert name in kind.__dict__, f"{kind.__name__} inherits its {name}"
    assert kind.__doc__
    assert isinstance(kind.disposition, Disposition)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)


def test_codes_are_unique() -> None:
    assert len(BY_CODE) == len(ERRORS)
    assert set(BY_CODE.values()) == set(ERRORS)


def test_statuses_are_those_outsiders_were_promised() -> None:
    found = {kind.__name__: kind.status for kind in ERRORS}
    assert {name: found[name] for name in STATED} == STATED


def test_dispositions_follow_the_branches() -> None:
    for kind in ERRORS:
        if issubclass(kind, errors.DomainError):
            assert kind.disposition is Disposition.DONE
    assert errors.UpstreamUnavailable.disposition is Disposition.RETRY
    assert errors.OutcomeUnknown.disposition is Disposition.RECORD
    assert errors.PoisonMessage.disposition is Disposition.DEAD


def test_the_drawing_at_the_top_of_the_file_names_every_class() -> None:
    drawn = set(re.findall(r"[A-Z][A-Za-z]+", errors.__doc__ or ""))
    assert {kind.__name__ for kind in ERRORS} <= drawn


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_is_the_same_after_the_bus(kind: type[AppError]) -> None:
    raised = kind("stop must be below entry 4.20, was 4.50", current={"id": "t1", "version": 3})
    again = rebuilt(encoded(raised, "c-1"), kind.status)
    assert type(again) is kind
    assert again.detail == raised.detail
    assert again.extra == raised.extra


def test_the_public_shape_is_a_problem_document() -> None:
    problem = orjson.loads(encoded(errors.StaleVersion("now 4", current={"version": 4}), "c-1"))
    assert problem == {
        "current": {"version": 4},
        "code": "stale_version",
        "title": "This trade was updated on another device",
        "status": 409,
        "detail": "now 4",
        "correlation_id": "c-1",
    }


def test_an_extra_member_cannot_pose_as_one_of_the_standard_ones() -> None:
    problem = errors.NotFound("no trade", status=200, code="fine").problem("c-1")
    assert (problem["status"], problem["code"]) == (404, "not_found")


def test_an_unknown_code_of_a_newer_service_becomes_the_nearest_class() -> None:
    again = rebuilt(orjson.dumps({"code": "invented_later", "detail": "x", "status": 409}), 409)
    assert type(again) is errors.Conflict


@pytest.mark.parametrize(
    "error", [errors.InvariantBroken("row 7 of bob"), errors.PoisonMessage("bytes"), ZeroDivisionError("bob's secret")]
)
def test_what_is_our_fault_is_told_without_its_words(error: Exception) -> None:
    told = public(error)
    assert told.status == 500
    assert str(error) not in told.detail
