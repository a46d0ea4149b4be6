"""wrk asks a server for a few seconds: requests per second, and the 99th percentile of their times."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from lab import LabError

_REPORT = """
done = function(summary, latency, requests)
    io.write(string.format("p99=%.3f\\n", latency:percentile(99.0) / 1000))
end
"""


class Rate(NamedTuple):
    """`rate` in requests a second, `p99` in milliseconds."""

    rate: float
    p99: float


def ask(url: str, script: str, clients: int, seconds: int, folder: Path, headers: dict[str, str]) -> Rate:
    """Asks for some seconds, and for longer where nothing was answered in them.

    Parameters: `script` is Lua that defines `request`, or empty to ask for the address itself. Raises LabError where a
    request fails, or none is answered.
    """
    for longer in (1, 5, 25):
        rate = _ask(url, script, clients, seconds * longer, folder, headers)
        if rate.rate:
            return rate
    raise LabError(f"{url} answered nothing in {seconds * longer} s.")


def _ask(url: str, script: str, clients: int, seconds: int, folder: Path, headers: dict[str, str]) -> Rate:
    file = folder / "wrk.lua"
    file.write_text(script + _REPORT)
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "60s", "-s", str(file)]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise LabError(f"{url}: some requests failed: {said}")
    rate, p99 = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"p99=([\d.]+)", said)
    assert rate and p99, said
    return Rate(float(rate[1]), float(p99[1]))
