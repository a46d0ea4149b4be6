"""The command that runs a sync tells a monitor and a webhook how it went."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable

from copies import Copies
from receiver import Receiver

SECRET = "whsec_" + base64.b64encode(b"twenty-four random bytes").decode()


def test_a_monitor_and_a_webhook_learn_how_syncs_end(
    copies: Copies, child_environment: Callable[..., dict[str, str]]
) -> None:
    with Receiver() as receiver:
        environment = child_environment(
            PHPMYADMIN_LOGIN="http",
            PING_URL=f"{receiver.url}/ping",
            WEBHOOK_URL=f"{receiver.url}/hook",
            WEBHOOK_SECRET=SECRET,
            NOTIFY_PRIVATE_HOSTS="allowed",
        )

        def sync() -> int:
            command = [sys.executable, "-m", "scraper", "sync"]
            return subprocess.run(command, env=environment, capture_output=True, check=False).returncode

        assert sync() == 0
        assert [path for _, path, _, _ in receiver.requests] == ["/ping"]
        copies.lab.stop_phpmyadmin()
        try:
            assert sync() == 1
        finally:
            copies.lab.start_phpmyadmin()
        assert (receiver.types, receiver.events[0]["data"]["code"]) == (["sync.failed"], "unreachable")
        assert sync() == 0
        assert receiver.types == ["sync.failed", "sync.failed.resolved"]
        assert len([path for _, path, _, _ in receiver.requests if path == "/ping"]) == 2
