"""`./bookend down`: stop a stack and see that nothing of it is left."""

from __future__ import annotations

import psutil

from deploy.local.child import end_strangers, wait_until
from deploy.local.layout import Layout
from deploy.local.state import alive, load_state

STOPPED_WITHIN_S = 90.0


def take_down(layout: Layout) -> str:
    """Stop the stack of this data; returns what was done, in words. Idempotent."""
    state = load_state(layout)
    if state is None:
        return "nothing was running"
    asked = alive(state.launcher) and state.launcher.pid is not None
    if asked:
        launcher = psutil.Process(state.launcher.pid)
        launcher.terminate()
        launcher.resume()
        wait_until(lambda: not alive(state.launcher), within_s=STOPPED_WITHIN_S)
    # Whatever was started until the end, in case the launcher itself was killed or hangs.
    last = load_state(layout) or state
    if alive(last.launcher):
        end_strangers({last.launcher.pid or 0: last.launcher.created_at_s})
    left = end_strangers({**state.pids(), **last.pids()})
    layout.state_file.unlink(missing_ok=True)
    if left:
        return f"stopped; {len(left)} processes of a launcher that was killed were ended"
    return "stopped" if asked else "nothing was running"
