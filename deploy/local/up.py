"""`./bookend up`: in the foreground, or detached with a launcher that waits for the outcome."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from deploy.local.layout import PROJECT, Layout
from deploy.local.problem import StackProblem
from deploy.local.progress import Progress, to_descriptor, to_terminal
from deploy.local.stack import Options, Stack, run_until_signalled
from deploy.local.state import StackState

READY_MARK = "\x06"
FAILED_MARK = "\x15"


def run_here(options: Options) -> int:
    """Run the stack in the foreground until Ctrl-C; returns the exit code."""
    progress = Progress(to_terminal)

    def on_ready(state: StackState) -> None:
        for line in greeting(state):
            progress.say(line)
        progress.say("  Ctrl-C stops all of it.")

    try:
        asyncio.run(run_until_signalled(Stack(options, progress), on_ready))
    except StackProblem as problem:
        progress.say(f"\n{problem}")
        return 1
    progress.say("  stopped")
    return 0


def run_detached(options: Options) -> int:
    """Start the stack in a session of its own, show its progress, and return when it is ready or has failed."""
    layout = Layout(options.data_dir)
    layout.prepare()
    reading, writing = os.pipe()
    with layout.log_of("launcher").open("ab") as log:
        launcher = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "deploy.local",
                "_supervise",
                str(writing),
                json.dumps(asdict(options), default=str),
            ],
            cwd=PROJECT,
            env=dict(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writing],
            start_new_session=True,
        )
    os.close(writing)
    try:
        return _follow(reading, launcher, layout)
    except KeyboardInterrupt:
        with contextlib.suppress(ProcessLookupError):
            launcher.send_signal(signal.SIGTERM)
        launcher.wait()
        to_terminal("  stopped")
        return 130


def supervise(report_descriptor: int, options_text: str) -> int:
    """Be the detached launcher: run the stack and report over the pipe until it is ready or has failed."""
    options = _read_options(options_text)
    write = to_descriptor(report_descriptor)

    def on_ready(state: StackState) -> None:
        for line in greeting(state):
            write(line)
        write(READY_MARK)
        os.close(report_descriptor)

    try:
        asyncio.run(run_until_signalled(Stack(options, Progress(write)), on_ready))
    except StackProblem as problem:
        write(f"\n{problem}")
        write(FAILED_MARK)
        return 1
    return 0


def greeting(state: StackState) -> list[str]:
    """Say where to go and who to be."""
    return ["", f"  {state.gateway_url}   login {state.demo['username']} / {state.demo['password']}", ""]


def _follow(reading: int, launcher: subprocess.Popen[bytes], layout: Layout) -> int:
    with os.fdopen(reading, encoding="utf-8", errors="replace") as report:
        for line in report:
            text = line.rstrip("\n")
            if text == READY_MARK:
                return 0
            if text == FAILED_MARK:
                launcher.wait()
                return 1
            to_terminal(text)
    code = launcher.wait()
    log = layout.log_of("launcher")
    to_terminal(f"\nlauncher ended (exit code {code}) before the stack was ready\n  what to do: read {log}")
    return 1


def _read_options(text: str) -> Options:
    fields = json.loads(text)
    return Options(**{**fields, "data_dir": Path(fields["data_dir"])})
