"""The lab's command line: python -m lab demo | install | up | seed | mutate | status | run | down."""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from cache.errors import OrdersError
from cache.settings import from_checkout
from cache.version import versioned
from lab import Lab, LabError, nginx
from lab.clients import install_clients
from lab.postgresql import install_postgresql
from lab.promtool import install_promtool
from lab.servers import BROWSER, TESTS, install


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    lab = Lab(options.path)
    try:
        return int(options.do(lab, options))
    except (LabError, OrdersError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _demo(lab: Lab, _: argparse.Namespace) -> int:
    from lab.demo import demo

    return demo(lab)


def _install(_: Lab, options: argparse.Namespace) -> int:
    if options.what == "clients":
        install_clients()
        return 0
    node = () if shutil.which("node") else ("nodejs",)  # it is often installed from elsewhere than Debian
    install(*BROWSER, *nginx.PACKAGES, *TESTS, *node)
    install_postgresql()
    install_promtool()
    return 0


def _up(lab: Lab, _: argparse.Namespace) -> int:
    lab.up()
    return _status(lab, _)


def _status(lab: Lab, _: argparse.Namespace) -> int:
    running = lab.running()
    for part, runs in running.items():
        print(f"{part:<12}{'runs' if runs else 'is down'}")
    if not all(running.values()):
        print("Start it: python -m lab up")
        return 1
    for name, value in lab.settings().items():
        print(f"{name}={value}")
    print(f"{'rows':<12}{lab.rows()}")
    return 0


def _seed(lab: Lab, options: argparse.Namespace) -> int:
    began = time.monotonic()
    rows = lab.seed(options.rows, options.seed)
    print(f"{rows} orders in {time.monotonic() - began:.1f} s")
    return 0


def _mutate(lab: Lab, options: argparse.Namespace) -> int:
    print(", ".join(f"{count} {what}" for what, count in lab.mutate(options.seed, options.touches).items()))
    return 0


def _run(lab: Lab, options: argparse.Namespace) -> int:
    environment = {**os.environ, **lab.settings()}
    try:
        os.execvpe(options.command[0], options.command, environment)  # noqa: S606
    except OSError as error:
        raise LabError(f"{options.command[0]} cannot be run: {error.strerror}. Check its name.") from error


def _down(lab: Lab, options: argparse.Namespace) -> int:
    lab.down(delete=options.delete)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = versioned(
        argparse.ArgumentParser(prog="python -m lab", description="A phpMyAdmin with sample orders on this machine.")
    )
    parser.add_argument(
        "--path", type=Path, default=from_checkout("var/lab"), help="the lab's folder (var/lab in the checkout)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do: object, summary: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=summary, description=summary)
        made.set_defaults(do=do)
        return made

    command("demo", _demo, "sample orders, a first scrape, then dashboard and API until Ctrl-C")
    needs = command("install", _install, "install what tests need of Debian packages: servers, Chromium, curl, node")
    needs.add_argument("what", nargs="?", choices=["clients"], help="clients of the API, which only `make soak` needs")
    command("up", _up, "start MariaDB and phpMyAdmin, and print how to log in")
    seed = command("seed", _seed, "make the shop anew")
    seed.add_argument("--rows", type=int, default=10_000, help="how many orders (10000)")
    seed.add_argument("--seed", type=int, default=1, help="the same number gives the same shop (1)")
    mutate = command("mutate", _mutate, "do what a live shop does in an hour")
    mutate.add_argument("--touches", type=int, default=60, help="how many orders change (60)")
    mutate.add_argument("--seed", type=int, default=None, help="the same number does the same (random)")
    command("status", _status, "say what runs; exit code 1 when something is down")
    run = command("run", _run, "run a command with the lab's login in its environment: run -- CMD ...")
    run.add_argument("command", nargs="+")
    down = command("down", _down, "end both servers")
    down.add_argument("--delete", action="store_true", help="and delete the lab's files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
