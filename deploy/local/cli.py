"""The command line behind `./bookend`."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.local import down, logs, status, up
from deploy.local.checks import run_bench, run_checks, run_tests
from deploy.local.demo import add_user
from deploy.local.keyring import open_keyring
from deploy.local.layout import PROJECT, Layout
from deploy.local.problem import StackProblem
from deploy.local.rotation import rotate
from deploy.local.services import Addresses, parse_replicas, service_environment
from deploy.local.stack import Options
from deploy.local.state import alive, load_state


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    # What belongs to pytest and the bench stays theirs, options included.
    if arguments and arguments[0] in {"test", "bench"}:
        runner = run_tests if arguments[0] == "test" else run_bench
        return _in_words(lambda: runner(list(arguments[1:])))
    if arguments and arguments[0] == "_supervise":
        return up.supervise(int(arguments[1]), arguments[2])
    chosen = _parser().parse_args(arguments)
    return _in_words(lambda: _run(chosen))


def _in_words(command: Callable[[], int]) -> int:
    try:
        return command()
    except StackProblem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 130


def _run(chosen: argparse.Namespace) -> int:
    if chosen.command == "check":
        return run_checks()
    layout = Layout(_data_dir(chosen.data))
    match chosen.command:
        case "up":
            options = _options(chosen, layout.data_dir)
            return up.run_detached(options) if chosen.detach else up.run_here(options)
        case "down":
            sys.stdout.write(f"{down.take_down(layout)}\n")
            return 0
        case "status":
            return status.print_status(layout, as_json=chosen.json)
        case "logs":
            return logs.show_logs(layout, chosen.service, lines=chosen.lines, follow=not chosen.no_follow)
        case _:
            return _administer(layout, chosen)


def _administer(layout: Layout, chosen: argparse.Namespace) -> int:
    match chosen.command:
        case "rotate-keys":
            rotate(layout, _say)
            return 0
        case "dead":
            # Brings the NATS library along, which `status` and `down` do without.
            from deploy.local.dead import show_or_replay  # noqa: PLC0415

            return show_or_replay(layout, getattr(chosen, "id", None), _say)
        case _:
            return _add_user(layout, chosen)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _options(chosen: argparse.Namespace, data_dir: Path) -> Options:
    if not 0 < chosen.port < 65536:
        raise StackProblem("gateway", f"{chosen.port} is not a port", "choose one between 1 and 65535 with --port")
    return Options(
        data_dir=data_dir,
        port=chosen.port,
        speed=chosen.speed,
        seed=chosen.seed,
        replicas=parse_replicas(chosen.replicas),
        reset=chosen.reset,
    )


def _add_user(layout: Layout, chosen: argparse.Namespace) -> int:
    state = load_state(layout)
    if state is None or not alive(state.launcher):
        raise StackProblem("users", "the stack is not running", "start it first with ./bookend up --detach")
    password = sys.stdin.readline().rstrip("\n") if chosen.password_stdin else _ask_password(chosen.name)
    addresses = Addresses(*(state.parts[part].port for part in ("postgres", "nats", "simulator", "gateway")))
    environment = service_environment("gateway", open_keyring(layout), addresses, http_port=0)
    sys.stdout.write(f"{add_user(chosen.name, password, environment, admin=chosen.admin)}\n")
    return 0


def _ask_password(name: str) -> str:
    if not sys.stdin.isatty():
        raise StackProblem("users", "there is no terminal to ask for a password", "pipe it in with --password-stdin")
    password = getpass.getpass(f"Password for {name}: ")
    if password != getpass.getpass("Again: "):
        raise StackProblem("users", "the two passwords differ", "try again")
    return password


def _data_dir(given: str) -> Path:
    """Return the stack's directory: the project's own by default, a relative one where the caller stands."""
    if not given:
        return PROJECT / ".bookend"
    return Path(os.environ.get("BOOKEND_CALLED_FROM") or Path.cwd()) / given


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data", default="", metavar="DIR", help="the directory that keeps everything (.bookend)")
    parser = argparse.ArgumentParser(prog="./bookend", description="Bookend on this machine: one command, everything.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = commands.add_parser("up", parents=[common], help="start everything")
    start.add_argument("--port", type=int, default=8000, help="where the page and the API listen (8000)")
    start.add_argument("--speed", type=float, default=1.0, help="how fast market time passes (1)")
    start.add_argument("--seed", type=int, default=7, help="of the simulated prices (7)")
    start.add_argument("--replicas", default="", metavar="NAME=N,…", help="more processes of a service")
    start.add_argument("--reset", action="store_true", help="forget all data first")
    start.add_argument("--detach", action="store_true", help="return when ready, leave it running")
    shown = commands.add_parser("status", parents=[common], help="what runs")
    shown.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("down", parents=[common], help="stop everything")
    followed = commands.add_parser("logs", parents=[common], help="follow the logs")
    followed.add_argument("service", nargs="?", help="only this part")
    followed.add_argument("--lines", type=int, default=20, help="begin with the last lines (20)")
    followed.add_argument("--no-follow", action="store_true", help="print them and return")
    commands.add_parser("rotate-keys", parents=[common], help="seal the brokers' tokens with a new key, while it runs")
    dead = commands.add_parser("dead", help="messages that could not be handled")
    letters = dead.add_subparsers(dest="action", required=True, metavar="ACTION")
    letters.add_parser("list", parents=[common], help="list them, the oldest first")
    again = letters.add_parser("replay", parents=[common], help="hand one to its readers again")
    again.add_argument("id", type=int, help="its number in the list")
    commands.add_parser("test", help="all tests on a throw-away stack; arguments go to pytest", add_help=False)
    commands.add_parser("check", parents=[common], help="linters, types and generated files")
    commands.add_parser("bench", help="benchmarks", add_help=False)
    users = commands.add_parser("users", help="people").add_subparsers(dest="action", required=True, metavar="ACTION")
    added = users.add_parser("add", parents=[common], help="add a user")
    added.add_argument("name")
    added.add_argument("--admin", action="store_true", help="may administer")
    added.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    return parser
