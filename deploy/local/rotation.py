"""`./bookend rotate-keys`: another key seals the brokers' tokens, while the stack runs.

| step | after it                                                     | killed before the next: run again, and it    |
|------|--------------------------------------------------------------|----------------------------------------------|
| 1    | the new key is second in the keyring: it opens, seals nothing | goes on with these two, drawing no third    |
| 2    | whoever opens tokens was started again and knows both        | starts again who has not been, and goes on   |
| 3    | the new key is first: it seals                               | goes on                                      |
| 4    | whoever opens tokens was started again and seals with it     | starts again who has not been, and goes on   |
| 5    | every token is sealed with the new key                       | seals what is left, and goes on              |
| 6    | the old key is gone from the keyring                         | is done; a run would begin a new rotation    |

1. At every moment each stored token opens with a key in the keyring, and in each running process: nobody seals with a
   key that another process does not know yet (hence step 2 before 3), nor with the old one once all are sealed again
   (hence 4 before 5).
2. Processes go on with both keys until they are started for another reason; in the keyring there is one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from deploy.local.keyring import draw_key, encryption_keys, keep_encryption_keys, open_keyring, rotation_of
from deploy.local.layout import PROJECT, DirectoryLock, Layout
from deploy.local.ports import LOOPBACK
from deploy.local.problem import StackProblem
from deploy.local.services import OPENS_TOKENS, Addresses, python, service_environment
from deploy.local.state import PartState, alive, load_state

BACK_WITHIN_S = 60.0
ADDING, SEALING = "adding", "sealing"
"""How far a rotation is, as the keyring has it."""
AGAIN = "run ./bookend rotate-keys again: it goes on where it was"


@dataclass(frozen=True)
class Rotation:
    """One rotation: what is done between the changes of the keyring is handed in."""

    layout: Layout
    restart: Callable[[], None]
    """Start again whoever opens tokens, one by one, each ready before the next."""
    reseal: Callable[[], str]
    """Seal every token with the first key of the keyring; returns what it did. Raises: StackProblem."""
    say: Callable[[str], None]

    def run(self) -> None:
        """Rotate, or finish a rotation that was cut off. Raises: StackProblem."""
        with self._alone():
            if not rotation_of(self.layout):
                keep_encryption_keys(self.layout, [*encryption_keys(self.layout), draw_key()], rotation=ADDING)
                self.say("a new key is known from now on")
            else:
                self.say("going on with a rotation that was cut off")
            if rotation_of(self.layout) == ADDING:
                self.restart()
                keep_encryption_keys(self.layout, encryption_keys(self.layout)[::-1], rotation=SEALING)
            self.say("the new key seals, the old one still opens")
            self.restart()
            self.say(self.reseal())
            keep_encryption_keys(self.layout, encryption_keys(self.layout)[:1], rotation="")
            self.say("the old key is gone")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.layout.rotation_dir.mkdir(exist_ok=True)
        lock = DirectoryLock(self.layout.rotation_dir)
        if not lock.acquire():
            raise StackProblem("rotate-keys", "another rotation is going on", "wait until it is done")
        try:
            yield
        finally:
            lock.release()


def rotate(layout: Layout, say: Callable[[str], None]) -> None:
    """Rotate the keys of the stack that runs with this data. Raises: StackProblem."""
    Rotation(layout, lambda: _restart_all(layout, say), lambda: _reseal(layout), say).run()


def _restart_all(layout: Layout, say: Callable[[str], None]) -> None:
    changed_at_s = layout.secrets_file.stat().st_mtime
    for name, part in sorted(_running(layout).items()):
        # The kernel counts starts in hundredths of a second; who is that close to the change starts once more.
        if name.split("-")[0] in OPENS_TOKENS and part.created_at_s < changed_at_s + 1.0:
            _restart(layout, name, part)
            say(f"{name} was started again and is ready")


def _running(layout: Layout) -> dict[str, PartState]:
    state = load_state(layout)
    if state is None or not alive(state.launcher):
        raise StackProblem("rotate-keys", "the stack is not running", "start it first with ./bookend up --detach")
    return state.parts


def _restart(layout: Layout, name: str, part: PartState) -> None:
    """Ask one process to stop; its launcher starts it again, with the keyring as it is then."""
    if part.pid is not None and alive(part):
        with suppress(ProcessLookupError):
            os.kill(part.pid, signal.SIGTERM)
    deadline_s = time.monotonic() + BACK_WITHIN_S
    while time.monotonic() < deadline_s:
        now = _running(layout).get(name)
        if now is not None and now.pid not in (None, part.pid) and _is_ready(now.port):
            return
        time.sleep(0.1)
    raise StackProblem(name, f"it was not ready {BACK_WITHIN_S:.0f} s after its restart", f"see its log, then {AGAIN}")


def _is_ready(port: int) -> bool:
    connection = HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _reseal(layout: Layout) -> str:
    parts = _running(layout)
    addresses = Addresses(*(parts[part].port for part in ("postgres", "nats", "simulator", "gateway")))
    environment = service_environment("orders", open_keyring(layout), addresses, http_port=0)
    ran = subprocess.run(
        [str(python()), "-m", "services.orders.admin", "reseal"],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=environment,
    )
    if ran.returncode != 0:
        last = (ran.stderr or ran.stdout).strip().splitlines()[-1:]
        why = last[0] if last else f"exit code {ran.returncode}"
        raise StackProblem("rotate-keys", f"{why}; both keys stay", AGAIN)
    told = json.loads(ran.stdout)
    lost = told["unreadable"]
    words = f"{told['done']} tokens sealed again, {told['current']} were already"
    return words if not lost else f"{words}; no key opens those of {', '.join(lost)}: enter them again"
