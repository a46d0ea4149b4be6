"""Build the image of the Dockerfile with buildah, and start it as platforms do: python -m tools.image.

No registry is asked for the base image: it is a new Debian, made by debootstrap, under the name that the Dockerfile
gives, and about as large. The image may have 1 GB, with this base. It is started in namespaces of its own, with a
phpMyAdmin and a PostgreSQL, until its API answers the rows of that phpMyAdmin, in every format. Chrome logs in. The
image gets PORT alone, and a volume that belongs to root. When the command ends, so does all that it started. Needs
root, buildah and debootstrap.
"""

import argparse
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pyarrow.parquet as pq

from lab import Lab
from lab.postgresql import PostgreSQL, Running, folder_for_servers
from lab.servers import new_secret
from tools.bare_machine import NAMESPACES, ROOT, BareMachineError, body, debian, row_count

PACKAGES = ("python3", "python3-venv", "python-is-python3", "ca-certificates")
# What Debian's own images leave out, now and when packages are installed. They keep the texts of licenses.
LEFT_OUT = ("/usr/share/doc", "/usr/share/info", "/usr/share/locale", "/usr/share/man")
NO_FILES = ("/var/cache/apt", "/var/lib/apt/lists")
IMAGE = "phpmyadmin-orders"
USER = 10001
PORT = 10_000
URL = f"http://127.0.0.1:{PORT}"
ORDERS = 1_000
LIMIT = 10**9  # bytes of the unpacked image
ANSWER_SECONDS, END_SECONDS = 240.0, 60.0

# The number of rows in a file of each format.
COUNTS: Mapping[str, Callable[[bytes], int]] = {
    "csv": lambda file: sum(1 for _ in csv.reader(io.StringIO(file.decode()))) - 1,
    "ndjson": lambda file: len(file.splitlines()),
    "parquet": lambda file: int(pq.read_metadata(io.BytesIO(file)).num_rows),
    "xlsx": lambda file: zipfile.ZipFile(io.BytesIO(file)).read("xl/worksheets/sheet1.xml").count(b"</row>") - 1,
}

T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """A way in which a platform starts the image.

    Args:
        name: what it is.
        user: as whom the container starts.
        owner: whom the volume belongs to before.
        shared: whether the cache is in PostgreSQL.
    """

    name: str
    user: int
    owner: int
    shared: bool


CASES = (
    Case("as root, on a volume of root", 0, 0, False),
    Case("as root, on a volume of root, with PostgreSQL", 0, 0, True),
    Case(f"as {USER}, on a volume of {USER}", USER, USER, False),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the image and start it in each way, and print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tools.image", description=__doc__)
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)  # the part that runs in namespaces of its own
    started = parser.parse_args(arguments).start
    try:
        if started:
            return start_all(started)
        missing = [program for program in ("buildah", "debootstrap") if not shutil.which(program)]
        if os.geteuid() or missing:
            raise BareMachineError("Run this as root, after: apt-get install buildah debootstrap")
        with tempfile.TemporaryDirectory(prefix="image-") as folder:
            build(Path(folder))
            again = [sys.executable, "-m", "tools.image", "--start", folder]
            return subprocess.run([*NAMESPACES, "--net", *again], cwd=ROOT, check=False).returncode
    except BareMachineError as error:
        print(error, file=sys.stderr)
        return 1


def buildah(folder: Path, *arguments: str) -> list[str]:
    """The command line of buildah, with images and containers in a folder."""
    storage = ["--root", f"{folder}/images", "--runroot", f"{folder}/run", "--storage-driver", "vfs"]
    return ["buildah", *storage, *arguments]


def call(folder: Path, *arguments: str) -> str:
    """Run buildah to its end, and return what it printed.

    Raises:
        BareMachineError: it failed.
    """
    done = subprocess.run(buildah(folder, *arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BareMachineError(f"buildah {arguments[0]} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout.strip()


def build(folder: Path) -> None:
    """Make the base image, and build the Dockerfile on it.

    Raises:
        BareMachineError: debootstrap or buildah failed.
    """
    (base,) = set(re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    with step(f"debootstrap, as {base}"):
        tree = folder / "tree"
        debian(tree, PACKAGES)
        make_slim(tree)
        print(f"   {size(tree) / 1e6:.0f} MB", flush=True)
        container = call(folder, "from", "scratch")
        # cp, since Python would read from devices, some of which never end
        subprocess.run(["cp", "--archive", f"{tree}/.", call(folder, "mount", container)], check=True)
        call(folder, "commit", "--quiet", "--rm", container, f"docker.io/library/{base}")
        shutil.rmtree(tree)
    with step("buildah bud"):
        options = ["--isolation", "chroot", "--pull-never", "--network", "host", "--format", "docker"]
        call(folder, "bud", *options, "--tag", IMAGE, "--build-arg", "VERSION=test", ".")


def make_slim(tree: Path) -> None:
    """Remove from a Debian what its images leave out."""
    for name in (*NO_FILES, *LEFT_OUT):
        for file in (tree / name[1:]).rglob("*"):
            if file.name != "copyright" and not file.is_dir():
                file.unlink()
    rules = [*(f"path-exclude {name}/*\n" for name in LEFT_OUT), "path-include /usr/share/doc/*/copyright\n"]
    (tree / "etc/dpkg/dpkg.cfg.d/slim").write_text("".join(rules), encoding="utf-8")


def size(tree: Path) -> int:
    """The bytes of all files in a tree, as `docker images` counts them: unpacked, each once."""
    command = ["du", "--summarize", "--apparent-size", "--block-size=1", str(tree)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0])


def start_all(folder: Path) -> int:
    """Start the image in each way, beside servers on this network.

    Raises:
        BareMachineError: one of them did not hold, or the image is too large.
    """
    container = call(folder, "from", "--pull-never", IMAGE)
    unpacked = size(Path(call(folder, "mount", container)))
    print(f"== the image has {unpacked / 1e6:.0f} MB unpacked, with its base", flush=True)
    if unpacked > LIMIT:
        raise BareMachineError(f"The image may have {LIMIT / 1e6:.0f} MB.")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    lab = Lab(folder / "lab")
    try:
        lab.up()
        lab.seed(ORDERS)
        with folder_for_servers() as home, Running(server := PostgreSQL(home), home):
            for number, case in enumerate(CASES):
                with step(case.name):
                    start(folder, container, folder / f"var-{number}", case, lab.settings(), server.url())
    finally:
        lab.down(delete=True)
    return 0


def start(folder: Path, container: str, data: Path, case: Case, login: Mapping[str, str], url: str) -> None:
    """Start the image once, look at what runs, and end it.

    Raises:
        BareMachineError: what was seen is not what should be.
    """
    data.mkdir(mode=0o755)
    os.chown(data, case.owner, case.owner)
    key = new_secret() if case.shared else ""
    shared = {"CACHE_URL": url, "SHOPIFY_API_KEY": key} if case.shared else {}
    variables = {
        **login,
        **shared,
        "PHPMYADMIN_LOGIN": "browser",
        "DASHBOARD_PASSWORD": new_secret(),
        "PORT": str(PORT),
    }
    config: dict[str, Any] = json.loads(call(folder, "inspect", "--type", "image", IMAGE))["OCIv1"]["config"]
    given = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    options = ["--isolation", "chroot", "--network", "host", "--volume", f"{data}:/app/var", *given]
    log = folder / f"{data.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            buildah(
                folder,
                *("run", *options, "--user", f"{case.user}:{case.user}", container, "--"),
                *(*config["Entrypoint"], *config["Cmd"]),
            ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            key = key or wait_for(lambda: read(data / "api_key"), process)
            rows = wait_for(lambda: row_count(PORT, key), process)
            users = {uid for child in programs(process.pid) for uid in child.uids()}
            exported = {
                name: count(body(f"{URL}/fetch-data?format={name}", {"X-API-Key": key}))
                for name, count in COUNTS.items()
            }
            inside = ["run", *options, "--user", str(USER), container, "--", "python"]
            health = call(folder, *inside, "container_health.py")
            print(call(folder, *inside, "-m", "scraper", "doctor"), flush=True)
            page = body(f"{URL}/_stcore/health").decode()
        except BareMachineError as error:
            raise BareMachineError(f"{case.name}: {error}\n{read(log)[-3000:]}") from None
        finally:
            running = programs(process.pid)
            for child in running:
                if child.name() == "tini":
                    child.terminate()
            _, left = psutil.wait_procs(running, END_SECONDS)
            for child in left:
                child.kill()
            process.wait(END_SECONDS)
    owners = {path.lstat().st_uid for path in (data, *data.rglob("*"))}
    printed = read(log)
    print(
        f"   {rows} rows, processes of {users}, files of {owners}, health {health or 'good'}, page {page}", flush=True
    )
    print(f"   {len(printed.splitlines())} lines in the log; it names the key: {key in printed}", flush=True)
    print(f"   rows by format: {exported}", flush=True)
    expected = (rows, set(exported.values()), users, owners, health, page, key in printed, "Traceback" in printed, left)
    if expected != (ORDERS, {ORDERS}, {USER}, {USER}, "", "ok", False, False, []):
        raise BareMachineError(f"{case.name}: that is wrong.\n{printed[-3000:]}")


def programs(pid: int) -> list[psutil.Process]:
    """The processes of the product below one of buildah."""
    return [
        child
        for child in psutil.Process(pid).children(recursive=True)
        if child.name().startswith(("python", "tini", "chrom"))
    ]


def wait_for(condition: Callable[[], T], process: subprocess.Popen[bytes]) -> T:
    """Call a condition until it holds.

    Raises:
        BareMachineError: it does not in time, or the process ended.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    while not (value := condition()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BareMachineError("It did not come to answer.")
        time.sleep(0.5)
    return value


def read(file: Path) -> str:
    """The text of a file; empty where there is none."""
    return file.read_text(encoding="utf-8", errors="replace").strip() if file.exists() else ""


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print what is done, and the seconds that it took."""
    print(f"== {name}", flush=True)
    began = time.monotonic()
    yield
    print(f"   {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
