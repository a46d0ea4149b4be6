"""Hosts in network namespaces of this machine, joined by a bridge, whose links can be cut."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Network:
    """A bridge at `address` of this machine. Names hold the id of this process: other tests have networks too."""

    def __init__(self) -> None:
        number = os.getpid()
        self._prefix = f"10.{100 + number // 256 % 100}.{number % 256}"
        self._bridge = f"ob{number}"
        self._spaces: list[str] = []
        self.address = f"{self._prefix}.1"
        _ip("link", "add", self._bridge, "type", "bridge", "forward_delay", "0")
        _ip("address", "add", f"{self.address}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")

    def add(self) -> int:
        """Makes a namespace with a link to the bridge, and returns its number."""
        number = len(self._spaces) + 2
        space, link = f"orders-{os.getpid()}-{number}", self._link(number)
        _ip("netns", "add", space)
        self._spaces.append(space)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", link, "master", self._bridge, "up")
        _ip("-n", space, "address", "add", f"{self.address_of(number)}/24", "dev", "eth0")
        for name in ("lo", "eth0"):
            _ip("-n", space, "link", "set", name, "up")
        return number

    def address_of(self, number: int) -> str:
        return f"{self._prefix}.{number}"

    def command(self, number: int, *command: str) -> list[str]:
        """A command that runs in a namespace, in a process with the id that it is started with."""
        return ["ip", "netns", "exec", self._spaces[number - 2], *command]

    def cut(self, number: int) -> None:
        """From now on all packets are lost, without a word to either side."""
        _ip("link", "set", self._link(number), "nomaster")

    def heal(self, number: int) -> None:
        _ip("link", "set", self._link(number), "master", self._bridge)

    def close(self) -> None:
        for space in self._spaces:
            _ip("netns", "delete", space)
        _ip("link", "delete", self._bridge)

    def _link(self, number: int) -> str:
        return f"ov{os.getpid()}n{number}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def network() -> Iterator[Network]:
    """A network, or the test is skipped where none can be made."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("only root can make network namespaces, with ip (iproute2)")
    try:
        made = Network()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespace can be made here: {error.stderr.decode()}")
    try:
        yield made
    finally:
        made.close()
