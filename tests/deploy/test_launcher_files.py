"""The launcher's own files and words: secrets, ports, options, logs and the state of a stack."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import psutil
import pytest

from deploy.local import down, status
from deploy.local.cli import main
from deploy.local.keyring import SERVICES, open_keyring
from deploy.local.layout import DirectoryLock, Layout, digest, read_json, write_json
from deploy.local.logs import Tail, trim_logs
from deploy.local.ports import free_or_new, free_port
from deploy.local.problem import StackProblem
from deploy.local.services import Addresses, migration_environment, parse_replicas, service_environment
from deploy.local.state import PartState, StackState, alive, load_state, observed
from deploy.local.web import _reason
from libs.common.messages import durables


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "data")
    made.prepare()
    return made


def state(launcher: PartState) -> StackState:
    demo = {"username": "demo", "password": "x"}
    return StackState(launcher, "http://127.0.0.1:1", "http://127.0.0.1:2", "nats://x", "postgresql://x", demo)


def test_secrets_are_drawn_once_differ_and_are_their_owners_alone(layout: Layout) -> None:
    first = open_keyring(layout)
    assert open_keyring(layout) == first
    assert layout.secrets_file.stat().st_mode & 0o077 == 0
    words = [*first.database_passwords.values(), *first.nats_passwords.values(), first.demo_password]
    assert len(set(words)) == len(words) == 2 * len(SERVICES) + 1


def test_the_launcher_and_the_bus_know_the_same_services() -> None:
    assert set(SERVICES) == set(durables.SERVICES)


def test_secrets_stay_out_of_what_is_printed(layout: Layout) -> None:
    keyring = open_keyring(layout)
    assert keyring.encryption_key not in repr(keyring)
    assert keyring.demo_password not in repr(keyring)


def test_a_secret_that_a_newer_version_needs_is_added_and_the_others_stay(layout: Layout) -> None:
    first = open_keyring(layout)
    stored = read_json(layout.secrets_file)
    del stored["backup_database_password"]
    del stored["nats_passwords"]["orders"]
    write_json(layout.secrets_file, stored)
    second = open_keyring(layout)
    assert second.backup_database_password
    assert second.nats_passwords["orders"] != first.nats_passwords["orders"]
    assert second.encryption_key == first.encryption_key


def test_a_service_is_told_its_own_passwords_and_nobody_elses(layout: Layout) -> None:
    keyring = open_keyring(layout)
    addresses = Addresses(1, 2, 3, 4)
    for service in SERVICES:
        values = set(service_environment(service, keyring, addresses, http_port=5).values())
        known = {other for other in SERVICES if keyring.database_passwords[other] in values}
        heard = {other for other in SERVICES if keyring.nats_passwords[other] in values}
        assert known == heard == {service}
        assert not {keyring.nats_admin_password, keyring.backup_database_password} & values


def test_migrations_get_the_password_of_every_role(layout: Layout) -> None:
    keyring = open_keyring(layout)
    environment = migration_environment(keyring, "postgresql://admin@127.0.0.1/bookend")
    for service in SERVICES:
        assert environment[f"{service.upper()}_DATABASE_PASSWORD"] == keyring.database_passwords[service]
    assert environment["BACKUP_DATABASE_PASSWORD"] == keyring.backup_database_password


def test_market_data_is_simulated_unless_a_vendors_token_is_given(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORATS_TOKEN", raising=False)
    keyring = open_keyring(layout)
    simulated = service_environment("pricing", keyring, Addresses(1, 2, 3, 4), http_port=5)
    assert simulated["ORATS_URL"] == "http://127.0.0.1:3/datav2"
    monkeypatch.setenv("ORATS_TOKEN", "real")
    monkeypatch.setenv("ORATS_URL", "https://api.orats.io/datav2")
    real = service_environment("pricing", keyring, Addresses(1, 2, 3, 4), http_port=5)
    assert (real["ORATS_URL"], real["ORATS_TOKEN"]) == ("https://api.orats.io/datav2", "real")


def test_replicas_are_read_and_nonsense_is_named() -> None:
    assert parse_replicas("orders=2,monitor=3") == {"orders": 2, "monitor": 3}
    assert parse_replicas("") == {}
    for nonsense in ("orders", "orders=0", "orders=two", "orders=-1"):
        with pytest.raises(StackProblem, match="is not a count"):
            parse_replicas(nonsense)


def test_reset_forgets_the_stack_and_leaves_other_peoples_files(layout: Layout) -> None:
    open_keyring(layout)
    layout.postgres_dir.mkdir()
    (layout.data_dir / "notes.txt").write_text("mine")
    layout.reset()
    assert [entry.name for entry in layout.data_dir.iterdir()] == ["notes.txt"]


def test_only_one_launcher_holds_a_directory_and_its_lock_is_no_file(layout: Layout) -> None:
    before = sorted(layout.data_dir.iterdir())
    first, second = DirectoryLock(layout.data_dir), DirectoryLock(layout.data_dir)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()
    assert sorted(layout.data_dir.iterdir()) == before


def test_a_remembered_port_is_kept_while_it_is_free() -> None:
    port = free_port()
    assert free_or_new(port) == port
    assert free_or_new(None) > 0


def test_ports_are_not_those_of_outgoing_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        outgoing = client.getsockname()[1]
    chosen = {free_port() for _ in range(50)}
    assert max(chosen) < outgoing
    assert len(chosen) > 40


def test_a_reused_pid_is_not_mistaken_for_ours() -> None:
    mine = observed(os.getpid())
    assert alive(mine)
    assert not alive(PartState(mine.pid, mine.created_at_s - 60))
    assert not alive(PartState(None))


def test_status_of_nothing_has_the_same_keys_and_fails(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.print_status(layout, as_json=True) == 3
    document = json.loads(capsys.readouterr().out)
    promised = {"gateway_url", "simulator_url", "nats_url", "database_url", "services", "demo"}
    assert promised <= set(document)
    assert document["services"] == {}


def test_status_does_not_believe_the_file_of_a_launcher_that_died(layout: Layout) -> None:
    state(PartState(os.getpid(), psutil.Process().create_time() - 3600)).save(layout)
    assert status.report(layout)["gateway_url"] is None


def test_down_without_a_stack_says_so_and_clears_what_a_dead_one_left(layout: Layout) -> None:
    assert down.take_down(layout) == "nothing was running"
    state(PartState(os.getpid(), psutil.Process().create_time() - 3600)).save(layout)
    assert down.take_down(layout) == "nothing was running"
    assert load_state(layout) is None


def test_logs_begin_with_the_last_lines_and_go_on_with_new_ones(layout: Layout) -> None:
    log = layout.log_of("orders")
    log.write_text("one\ntwo\nthree\n")
    tail = Tail(log, lines=2)
    assert tail.new_lines() == ["two", "three"]
    with log.open("a") as out:
        out.write("four\nhal")
    assert tail.new_lines() == ["four"]
    with log.open("a") as out:
        out.write("f\n")
    assert tail.new_lines() == ["half"]
    log.write_text("new\n")
    assert tail.new_lines() == ["new"]


def test_a_large_log_starts_again_and_its_writer_goes_on(layout: Layout) -> None:
    log = layout.log_of("orders")
    with log.open("a") as writer:
        writer.write("x" * 100)
        writer.flush()
        trim_logs(layout, over_bytes=99)
        writer.write("after\n")
    assert log.read_text() == "after\n"
    assert len(log.with_suffix(".log.1").read_text()) == 100


def test_logs_of_an_unknown_part_name_the_known_ones(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    layout.log_of("orders").write_text("")
    assert main(["logs", "ordres", "--data", str(layout.data_dir)]) == 1
    assert "choose one of: orders" in capsys.readouterr().err


def test_a_failed_build_gives_its_reason_not_its_help() -> None:
    output = "npm error code ENOTFOUND\nnpm error network failed\nnpm error\nUsage:\nnpm ci\n"
    assert _reason(output).startswith("code ENOTFOUND | network failed")


def test_a_digest_changes_with_a_name_or_a_byte(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("1")
    first = digest([file], base=tmp_path)
    file.write_text("2")
    assert digest([file], base=tmp_path) != first
    moved = file.rename(tmp_path / "b.py")
    moved.write_text("1")
    assert digest([moved], base=tmp_path) != first


def test_a_port_out_of_range_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "--port", "70000", "--data", str(tmp_path / "data")]) == 1
    assert "70000 is not a port" in capsys.readouterr().err


def test_only_who_opens_tokens_gets_the_key_to_them(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCRYPTION_KEY", "the-callers")
    keyring = open_keyring(layout)
    given = {
        service: service_environment(service, keyring, Addresses(1, 2, 3, 4), http_port=5)["ENCRYPTION_KEY"]
        for service in SERVICES
    }
    assert {service for service, key in given.items() if key} == {"orders", "monitor"}
    assert given["orders"] == given["monitor"] == keyring.encryption_key
