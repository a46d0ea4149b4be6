"""Run make targets on a new machine: a fresh Debian that holds nothing but git, make and Python.

It is a folder made by debootstrap, with a clone of the last commit. Each target runs there as root, in namespaces of
its own for mounts and processes: when it ends, so does all that it mounted or started. The Debian release, the sources
of packages and the certificates are those of this machine.
"""

import argparse
import json
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).parents[1]
PACKAGES = ("git", "make", "python3", "python3-venv", "ca-certificates")
TARGETS = ("demo", "install", "test-fast", "test")
CONFIGURATION = (
    "/etc/apt",
    "/etc/hosts",
    "/etc/pip.conf",
    "/etc/resolv.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/usr/share/keyrings",
)
VARIABLES = re.compile(
    r"CI|PIP_(CERT|DEFAULT_TIMEOUT|EXTRA_INDEX_URL|INDEX_URL|PROXY|TRUSTED_HOST)|SSL_CERT_\w+|\w+_CA_BUNDLE|\w+_proxy",
    re.IGNORECASE,
)
START_SECONDS = 600.0  # a new machine installs packages first
END_SECONDS = 60.0
INTERRUPTED = 130  # how make ends after Ctrl-C

# What a command mounts or starts ends with it, also when it is killed.
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
# bash stays the first process, so that it reaps orphans. At the end no other process may be left.
# The tree is a mount, so that what runs in it can make a namespace for mounts of its own.
INSIDE = """
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
mount -t tmpfs tmpfs "$0/dev/shm"
mount -t devpts devpts "$0/dev/pts" -o newinstance,ptmxmode=0666
chroot "$0" "$@"
code=$?
sleep 1
left=("$0"/proc/[1-9]*)
[ ${#left[@]} = 1 ] && exit $code
echo "Left running:"
for process in "${left[@]:1}"; do tr '\\0' ' ' < "$process/cmdline"; echo; done
exit 99
"""


class BareMachineError(Exception):
    """A target failed, or the machine could not be made; the message says which."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the targets of the command line in one new machine, and print the seconds that each took."""
    parser = argparse.ArgumentParser(prog="python -m tools.bare_machine", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"make targets, in this order: {' '.join(TARGETS)} (all)")
    targets = parser.parse_args(arguments).targets or TARGETS
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exit deletes the machine
    seconds: dict[str, float] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="bare-") as folder:
            tree = Path(folder) / "tree"
            began = time.monotonic()
            create(tree)
            seconds["debootstrap"] = time.monotonic() - began
            for target in targets:
                print(f"== make {target}", flush=True)
                began = time.monotonic()
                if target == "demo":
                    run_demo(tree)
                else:
                    run_target(tree, target)
                seconds[f"make {target}"] = time.monotonic() - began
    except BareMachineError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        for step, taken in seconds.items():
            print(f"{step:<16}{taken:6.0f} s")
    return 0


def create(tree: Path) -> None:
    """Make the machine: Debian, and a clone of the last commit.

    Raises:
        BareMachineError: debootstrap is missing, failed, or this user is not root.
    """
    debian(tree, PACKAGES)
    subprocess.run(["git", "clone", "--quiet", ROOT, tree / "root" / "project"], check=True)


def debian(tree: Path, packages: Sequence[str]) -> None:
    """Make a new Debian with a few packages, and with what this machine knows of package sources.

    Raises:
        BareMachineError: debootstrap is missing, failed, or this user is not root.
    """
    if os.geteuid() or not shutil.which("debootstrap"):
        raise BareMachineError("Run this as root, with debootstrap installed: apt-get install debootstrap")
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", release, str(tree)]
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    filters = ["Created-By: Packages", f"Codename: {release}", "Component: main"]
    mirrors = subprocess.run([*targets, *filters], check=True, capture_output=True, text=True).stdout.split()
    made = subprocess.run([*NAMESPACES, *command, *mirrors[:1]], check=False, stdout=subprocess.PIPE, text=True)
    if made.returncode:
        raise BareMachineError(f"debootstrap failed:\n{made.stdout[-2000:]}")
    (tree / "etc/apt/sources.list").unlink()
    for source in filter(Path.exists, map(Path, CONFIGURATION)):
        copy = tree / source.relative_to("/")
        if source.is_dir():
            shutil.copytree(source, copy, dirs_exist_ok=True)
        else:
            copy.unlink(missing_ok=True)
            shutil.copy(source, copy)


def start(
    tree: Path, command: Sequence[str], variables: Mapping[str, str], output: BinaryIO | None = None
) -> subprocess.Popen[bytes]:
    """Start a command in the clone, as the leader of a process group.

    Args:
        tree: the machine's root folder.
        command: the program and its arguments.
        variables: environment variables beside those that say where packages come from.
        output: a file for what the command prints; None: this process's own output.
    """
    passed_on = {name: value for name, value in os.environ.items() if VARIABLES.fullmatch(name)}
    environment = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **passed_on, **variables}
    inside = ["bash", "-c", INSIDE, str(tree), "env", "--chdir=/root/project", *command]
    return subprocess.Popen(
        [*NAMESPACES, *inside],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
    )


def run_target(tree: Path, target: str) -> None:
    """Run one make target to its end.

    Raises:
        BareMachineError: it failed, or left processes running.
    """
    process = start(tree, ["make", target], {})
    try:
        code = process.wait()
    finally:
        process.kill()
    if code:
        raise BareMachineError(f"make {target} failed with exit code {code}.")


def run_demo(tree: Path) -> None:
    """Run the demo until the dashboard answers and the API sends rows, then end it as Ctrl-C does.

    Raises:
        BareMachineError: it did not answer in time, did not end cleanly, or left processes running.
    """
    log = tree / "root" / "demo.log"
    try:
        with log.open("wb") as output:
            code = _demo_exit_code(tree, output)
        printed = log.read_text(encoding="utf-8", errors="replace")
        if code != INTERRUPTED or "Traceback" in printed or "Nothing is left running" not in printed:
            raise BareMachineError(f"make demo did not end cleanly, with exit code {code}.")
    except BareMachineError:
        print(log.read_text(encoding="utf-8", errors="replace"), file=sys.stderr)
        raise


def _demo_exit_code(tree: Path, output: BinaryIO) -> int:
    api, dashboard = free_ports(2)
    key = secrets.token_urlsafe()
    variables = {"API_PORT": str(api), "DASHBOARD_PORT": str(dashboard), "SHOPIFY_API_KEY": key}
    process = start(tree, ["make", "demo"], variables, output)
    try:
        began = time.monotonic()
        while not (body(f"http://127.0.0.1:{dashboard}/_stcore/health") and row_count(api, key)):
            if process.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise BareMachineError("make demo did not come to answer.")
            time.sleep(0.5)
        print(
            f"Dashboard and API answer after {time.monotonic() - began:.0f} s: {row_count(api, key)} rows", flush=True
        )
        os.killpg(process.pid, signal.SIGINT)
        return process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        raise BareMachineError(f"make demo did not end within {END_SECONDS:.0f} s after Ctrl-C.") from None
    finally:
        process.kill()


def row_count(port: int, key: str) -> int:
    """The number of rows that the API sends; 0 while it does not answer."""
    text = body(f"http://127.0.0.1:{port}/fetch-data", {"X-API-Key": key})
    return int(json.loads(text)["count"]) if text else 0


def body(url: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The body of a response with a success status; empty without one."""
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310  the scheme is ours
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError), opener.open(request, timeout=30) as response:
        return bytes(response.read())
    return b""


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


if __name__ == "__main__":
    sys.exit(main())
