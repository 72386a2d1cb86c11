"""The account-event stream: one connection per token, order messages and a heartbeat."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from simulator.book import Order
from simulator.faults import Faults
from simulator.wire import iso_instant

SESSION_LIFE_S = 300.0
LONGEST_QUEUE = 10_000


@dataclass(slots=True, eq=False)
class Listener:
    """One open connection and what it has not been sent yet. None ends it."""

    account: str
    queue: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(LONGEST_QUEUE))

    def push(self, message: bytes | None) -> None:
        """Hand a message over; a listener that does not read is let go."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.queue = asyncio.Queue(1)
            self.queue.put_nowait(None)


def order_message(order: Order, tag: str | None) -> bytes:
    """Word one change of an order, the executed amount under both of its names."""
    message: dict[str, object] = {
        "event": "order",
        "id": order.id,
        "status": order.status.value,
        "type": order.type or None,
        "price": float(order.price or 0),
        "stop_price": float(order.stop or 0),
        "avg_fill_price": float(order.average or 0),
        "executed_quantity": float(order.executed),
        "exec_quantity": float(order.executed),
        "last_fill_quantity": float(order.last_quantity),
        "remaining_quantity": float(order.remaining),
        "transaction_date": iso_instant(order.changed_at),
        "create_date": iso_instant(order.created_at),
        "account": order.account,
    }
    if order.parent_id is not None:
        message["parent_id"] = order.parent_id
    if tag is not None:
        message["tag"] = tag
    return orjson.dumps(message)


class Hub:
    """Who listens, and who may."""

    def __init__(self, faults: Faults, real_time: Callable[[], float]) -> None:
        self._faults = faults
        self._real_time = real_time
        self._sessions: dict[str, tuple[str, float]] = {}
        self._listeners: dict[str, Listener] = {}
        self._kept_back: dict[str, bytes] = {}

    def open_session(self, account: str) -> str:
        """Give a session id that admits one connection within five minutes."""
        now = self._real_time()
        self._sessions = {key: value for key, value in self._sessions.items() if value[1] > now}
        session = str(uuid.uuid4())
        self._sessions[session] = (account, now + SESSION_LIFE_S)
        return session

    def publish(self, order: Order, tag: str | None) -> None:
        """Send one change of an order, unless a fault has other plans."""
        listener = self._listeners.get(order.account)
        if listener is None:
            return
        message = order_message(order, tag)
        fault = self._faults.for_event(order.account)
        kind = fault.kind if fault else None
        if kind == "reordered_event":
            self._kept_back[order.account] = message
            return
        if kind != "lost_event":
            listener.push(message)
        if kind == "duplicate_event":
            listener.push(message)
        if kind == "drop_stream":
            listener.push(None)
        if order.account in self._kept_back:
            listener.push(self._kept_back.pop(order.account))

    async def serve(self, socket: WebSocket, heartbeat_s: Callable[[], float]) -> None:
        """Carry one connection from its subscription to its end."""
        await socket.accept()
        try:
            request = orjson.loads(await asyncio.wait_for(socket.receive_text(), SESSION_LIFE_S))
            session = self._sessions.pop(str(request.get("sessionid")), None)
        except (orjson.JSONDecodeError, AttributeError, TimeoutError, WebSocketDisconnect):
            session = None
        if session is None or session[1] < self._real_time():
            with contextlib.suppress(RuntimeError):
                await socket.send_text('{"error":"invalid session"}')
                await socket.close(1008)
            return
        listener = Listener(session[0])
        former = self._listeners.get(listener.account)
        if former is not None:
            former.push(None)
        self._listeners[listener.account] = listener
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(socket, listener))
                await self._write(socket, listener, heartbeat_s)
                reading.cancel()
        finally:
            if self._listeners.get(listener.account) is listener:
                del self._listeners[listener.account]

    async def _read(self, socket: WebSocket, listener: Listener) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                await socket.receive_text()
        listener.push(None)

    async def _write(self, socket: WebSocket, listener: Listener, heartbeat_s: Callable[[], float]) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                try:
                    message = await asyncio.wait_for(listener.queue.get(), heartbeat_s())
                except TimeoutError:
                    beat = {"event": "heartbeat", "status": "active", "timestamp": int(self._real_time() * 1000)}
                    message = orjson.dumps(beat)
                if message is None:
                    await socket.close(1001)
                    return
                await socket.send_text(message.decode())

    def close(self) -> None:
        """End every connection."""
        for listener in self._listeners.values():
            listener.push(None)
