"""Addresses as managed servers hand them out, made such that our driver connects with them."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from libs.common.address import driver_url, login_url

MANAGED = "postgresql://owner:secret@db.example.net:5432/bookend?sslmode=require&channel_binding=require"


def test_what_only_libpq_understands_is_left_out_and_the_rest_stays() -> None:
    assert driver_url(MANAGED) == "postgresql://owner:secret@db.example.net:5432/bookend?sslmode=require"


def test_an_address_without_options_stays_as_it_is() -> None:
    assert driver_url("postgresql://u:p%40@h:1/d") == "postgresql://u:p%40@h:1/d"


@pytest.mark.parametrize("option", ["application_name=me", "options=endpoint%3Dep-1", "sslrootcert=/etc/ca.crt"])
def test_what_the_driver_or_the_server_understands_stays(option: str) -> None:
    assert parse_qs(urlsplit(driver_url(f"postgresql://h/d?connect_timeout=5&{option}")).query) == parse_qs(option)


def test_another_login_keeps_host_database_and_options() -> None:
    assert login_url(MANAGED, "orders_service", "p@:/?#") == (
        "postgresql://orders_service:p%40%3A%2F%3F%23@db.example.net:5432/bookend?sslmode=require&channel_binding=require"
    )
