"""Prometheus's promtool, which checks rules and runs their tests.

Debian has it only in the package of the server, whose installation starts a service. So the package is downloaded, and
the program alone is taken out of it.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from lab.servers import APT, LabError

PROMTOOL = Path(__file__).resolve().parents[1] / "var" / "tools" / "promtool"
_MEMBER = "./usr/bin/promtool"


def install_promtool() -> None:
    """Take promtool out of Debian's package, unless it is there.

    Raises:
        LabError: it is missing and cannot be had; the message says why.
    """
    if PROMTOOL.exists():
        return
    PROMTOOL.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PROMTOOL.parent) as folder:
        if os.geteuid() == 0:
            _run(folder, *APT, "update")
        _run(folder, "apt-get", "download", "prometheus")
        (package,) = Path(folder).glob("prometheus_*.deb")
        files = Path(folder) / "files.tar"
        with files.open("wb") as file:
            _run(folder, "dpkg-deb", "--fsys-tarfile", package.name, stdout=file.fileno())
        _run(folder, "tar", "--extract", f"--file={files}", _MEMBER)
        (Path(folder) / _MEMBER).replace(PROMTOOL)


def _run(folder: str, *command: str, stdout: int = 2) -> None:
    try:
        subprocess.run(command, cwd=folder, stdout=stdout, stderr=subprocess.PIPE, check=True)
    except FileNotFoundError as error:
        raise LabError(f"The lab runs on Debian and Ubuntu: {command[0]} is missing.") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip()[-800:]
        raise LabError(f"promtool cannot be had from Debian's package prometheus: {reason}") from error
