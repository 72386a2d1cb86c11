"""The models say exactly what the messages carry, every route says who may use it, and the document is current."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel

from libs.common.messages import gateway, monitor, orders, pricing, trade
from services.gateway import (
    api,
    models_account,
    models_actions,
    models_base,
    models_market,
    models_settings,
    models_system,
    models_trades,
    permissions,
)
from services.gateway.declared import PUBLIC
from tools import gen_openapi

ROUTES = [route for router in api.ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def test_the_clients_document_is_current() -> None:
    assert gen_openapi.OUT.read_bytes() == gen_openapi.generated()


@pytest.mark.parametrize(
    ("shown", "carried"),
    [
        (models_trades.TradeRow, trade.TradeRow),
        (models_trades.Trade, trade.TradeDetail),
        (models_trades.TradeOrder, trade.TradeOrder),
        (models_trades.Targets, trade.Targets),
        (models_system.NotificationData, gateway.NotificationData),
        (models_system.Notification, gateway.NotificationCreated),
        (models_system.Banner, monitor.Banner),
        (models_account.Incident, monitor.Incident),
    ],
)
def test_an_answer_has_exactly_the_fields_of_its_message(shown: type[BaseModel], carried: type[BaseModel]) -> None:
    assert set(carried.model_fields) - {"key_version"} == set(shown.model_fields) - {"key_version"}


@pytest.mark.parametrize(
    ("asked", "carried", "added"),
    [
        (models_actions.PlaceBody, orders.PlaceTrade, {"idempotency_key", "by_program"}),
        (models_actions.EntryBody, orders.Entry, set()),
        (models_actions.CloseBody, orders.CloseTrade, {"idempotency_key", "trade_id"}),
        (models_actions.ResolveBody, orders.ResolveTrade, {"idempotency_key", "trade_id"}),
        (models_actions.AdjustBody, orders.AdjustTrade, {"idempotency_key", "trade_id"}),
        (models_trades.TradesAsked, orders.ListTrades, {"if_none_match"}),
        (models_trades.HistoryAsked, orders.ListHistory, set()),
        (models_trades.SnapshotsAsked, pricing.GetSnapshots, {"trade_id"}),
        (models_market.ChainAsked, pricing.GetChain, {"ticker"}),
        (models_settings.CredentialsBody, orders.StoreCredentials, set()),
        (models_account.ExecutionsAsked, monitor.ListExecutions, set()),
        (models_account.IncidentsAsked, monitor.ListIncidents, set()),
    ],
)
def test_a_body_has_exactly_the_fields_of_its_message(
    asked: type[BaseModel], carried: type[BaseModel], added: set[str]
) -> None:
    assert set(asked.model_fields) == set(carried.model_fields) - added


def test_the_body_that_would_store_a_token_is_taken_where_it_is_only_tried() -> None:
    tried = set(models_settings.TestBody.model_fields)
    assert tried == set(models_settings.CredentialsBody.model_fields)
    assert tried >= set(orders.TestCredentials.model_fields)


def test_every_route_names_its_permission_or_is_public_on_purpose() -> None:
    wardens = {permissions.viewer, permissions.trader, permissions.signaller, permissions.admin}
    for route in ROUTES:
        known = {dependency.call for dependency in route.dependant.dependencies} & wardens
        is_public = route.openapi_extra == PUBLIC
        assert len(known) == (0 if is_public else 1), route.path
    assert {route.path for route in ROUTES if route.openapi_extra == PUBLIC} == {
        "/api/auth/register", "/api/auth/login", "/api/auth/logout",
    }  # fmt: skip


def test_whatever_places_or_changes_a_trade_needs_the_right_to_trade_and_a_key_against_repeats() -> None:
    posted = [route for route in ROUTES if route.path.startswith("/api/trades") and route.methods == {"POST"}]
    changing = [route for route in posted if route.name != "check_trade"]  # which only looks
    assert len(changing) == 5
    for route in changing:
        assert permissions.trader in {dependency.call for dependency in route.dependant.dependencies}
        assert any(header.alias == "Idempotency-Key" for header in route.dependant.header_params)


def test_every_body_refuses_unknown_fields() -> None:
    for model in _below(models_base.Body):
        assert model.model_config.get("extra") == "forbid", model


def test_every_signed_in_route_declares_401_403_and_503_as_problems() -> None:
    paths: dict[str, Any] = api.document()["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            wanted = {"503", *(() if operation.get("security") == [] else ("401", "403"))}
            assert wanted <= set(operation["responses"]), f"{method} {path}"
            for status, declared in operation["responses"].items():
                if int(status) >= 400:
                    assert list(declared["content"]) == ["application/problem+json"], f"{method} {path} {status}"


def test_money_goes_out_as_text() -> None:
    schema = models_trades.TradeRow.model_json_schema(mode="serialization")["properties"]
    for name in ("strike", "entry_price", "unrealized_pnl", "realized_pnl", "naked_s"):
        assert '"number"' not in str(schema[name]).replace("'", '"'), name


def test_every_setting_of_a_change_is_in_the_whole_document() -> None:
    changed = set(models_settings.SettingsBody.model_fields) - {"confirm"}
    assert changed == set(models_settings.Settings.model_fields) - {"created_at", "updated_at"}


def _below(model: type[BaseModel]) -> list[type[BaseModel]]:
    return [found for child in model.__subclasses__() for found in (child, *_below(child))]


def test_annotated_permissions_are_what_routes_use() -> None:
    assert [get_args(kind)[1].dependency for kind in (permissions.Viewer, permissions.Trader, permissions.Admin)] == [
        permissions.viewer, permissions.trader, permissions.admin,
    ]  # fmt: skip
