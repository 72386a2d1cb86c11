"""The embedded NATS: JetStream on, flushed to disk, its configuration for its owner's eyes only."""

from __future__ import annotations

import shutil
from pathlib import Path

import nats
import pytest
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from deploy.local.nats import EmbeddedNats
from deploy.nats.config import Login, Permissions, ServerConfig, render

pytestmark = pytest.mark.integration


async def publish(server: EmbeddedNats) -> int:
    client = await nats.connect(server.url)
    try:
        stream = client.jetstream()
        await stream.add_stream(StreamConfig(name="EVENTS", subjects=["evt.>"]))
        return (await stream.publish("evt.alice.orders.trade_closed", b"{}")).seq
    finally:
        await client.close()


async def messages(server: EmbeddedNats) -> int:
    client = await nats.connect(server.url)
    try:
        return int((await client.jetstream().stream_info("EVENTS")).state.messages)
    finally:
        await client.close()


async def test_streams_survive_a_restart_on_the_same_port(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path / "a path with a space").start()
    port = server.port
    assert await publish(server) == 1
    server.stop()
    server.start()
    try:
        assert server.port == port
        assert await messages(server) == 1
    finally:
        server.stop()


async def test_a_data_directory_removed_while_stopped_is_only_an_empty_server(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path / "nats").start()
    await publish(server)
    server.stop()
    shutil.rmtree(server.data_dir)
    server.start()
    try:
        with pytest.raises(NotFoundError):
            await messages(server)
    finally:
        server.stop()


async def test_the_operator_sees_the_server_and_none_of_its_messages(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path / "nats").start()
    try:
        operator, house = await nats.connect(server.operator_url), await nats.connect(server.url)
        heard = await operator.subscribe("evt.>")
        await operator.flush()
        await house.publish("evt.alice.orders.trade_closed", b"{}")
        await house.flush()
        assert b'"server_name"' in (await operator.request("$SYS.REQ.SERVER.PING.VARZ", timeout=2)).data
        assert heard.pending_msgs == 0
        await operator.close()
        await house.close()
    finally:
        server.stop()


def test_the_configuration_holds_passwords_and_is_its_owners_alone(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path / "nats").start()
    server.stop()
    assert (tmp_path / "nats" / "nats-server.conf").stat().st_mode & 0o077 == 0


def test_acknowledged_is_on_disk_and_dead_connections_are_noticed() -> None:
    text = render(config())
    assert "sync_interval: always" in text
    assert 'ping_interval: "5s"' in text
    assert "ping_max: 2" in text
    assert 'write_deadline: "5s"' in text
    assert "sync_interval" not in render(config(durable=False))


def test_a_login_that_may_publish_nothing_is_denied_everything() -> None:
    silent = Login("silent", "secret", Permissions(publish=(), subscribe=("tick.>",)))
    assert 'publish: { deny: [">"] }' in render(config(silent))


def test_a_password_cannot_break_out_of_the_configuration() -> None:
    nasty = Login("nasty", 'a"}], jetstream: disabled # $HOME')
    assert '"a\\"}], jetstream: disabled # $HOME"' in render(config(nasty))


def config(*house: Login, durable: bool = True) -> ServerConfig:
    return ServerConfig("127.0.0.1", 4222, "/data/x", house, Login("sys", "secret"), durable=durable)
