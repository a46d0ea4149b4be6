"""Prints a page of the dashboard to PDF with the Chromium of this machine.

Chromium is told what to do over a pipe, by the Chrome DevTools Protocol
(https://chromedevtools.github.io/devtools-protocol/). A port would be open to every user of this machine, with the
session of the visitor behind it.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from cache.child_environment import child_environment
from cache.machine.sandbox import missing_sandbox
from cache.temporary_folders import make_folder

MAX_PDF = 64 << 20  # bytes of an answer of Chromium
MAX_FOLDER_NAME = 60  # characters: Chromium makes a socket in a folder of it, whose path may have 107
POLL_SECONDS = 0.25
_ARGUMENTS = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--window-size=1100,900",
)
# The page is drawn: its script has run to its end, and no part of it is still to come.
_DRAWN = """
!!document.querySelector("h1, [data-testid=stForm]")
    && !!document.querySelector("[data-testid=stApp][data-test-script-state=notRunning]")
    && !document.querySelector("[data-testid=stSkeleton], [data-stale=true]")
"""


class PrintFailed(Exception):
    """Chromium did not do what it was told."""


async def print_page(browser: str, url: str, cookies: Mapping[str, str], user_agent: str) -> bytes:
    """The PDF of a page. Whoever calls this sets a limit of time. Chromium has ended when it returns.

    Args:
        browser: The program of the browser.
        url: The address of the page.
        cookies: The cookies that the browser sends there.
        user_agent: What the browser calls itself.

    Raises:
        PrintFailed: Chromium does not start, or ended.
    """
    folder = make_folder("report", MAX_FOLDER_NAME)
    sandbox = ("--no-sandbox",) if missing_sandbox() else ()
    arguments = (*_ARGUMENTS, *sandbox, f"--user-agent={user_agent}", f"--user-data-dir={folder}/profile")
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null', "sh", browser, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=child_environment(HOME=str(folder), TMPDIR=str(folder)),
        limit=MAX_PDF,
        start_new_session=True,
    )
    try:
        return await _Pipe(process).printed(url, cookies)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, KeyError) as error:
        raise PrintFailed(type(error).__name__) from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


class _Pipe:
    """What is said to a Chromium, and what it answers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin and process.stdout
        self._to, self._from = process.stdin, process.stdout
        self._last = 0
        self._tab = ""

    async def printed(self, url: str, cookies: Mapping[str, str]) -> bytes:
        """Opens the page, waits until it is drawn, and prints it."""
        target = await self._call("Target.createTarget", url="about:blank")
        attached = await self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._tab = attached["sessionId"]
        light = [{"name": "prefers-color-scheme", "value": "light"}]
        await self._call("Emulation.setEmulatedMedia", features=light)
        for name, value in cookies.items():
            await self._call("Network.setCookie", name=name, value=value, url=url, path="/")
        await self._call("Page.navigate", url=url)
        drawn = 0
        while drawn < 2:  # twice: between two runs of the script, nothing runs for a moment
            await asyncio.sleep(POLL_SECONDS)
            answer = await self._call("Runtime.evaluate", expression=_DRAWN, returnByValue=True)
            drawn = drawn + 1 if answer["result"].get("value") is True else 0
        pdf = await self._call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return base64.b64decode(pdf["data"])

    async def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the protocol, and returns its result."""
        self._last += 1
        tab = {"sessionId": self._tab} if self._tab else {}
        self._to.write(orjson.dumps({"id": self._last, "method": method, "params": parameters, **tab}) + b"\0")
        await self._to.drain()
        while True:
            message = orjson.loads((await self._from.readuntil(b"\0"))[:-1])
            if message.get("id") == self._last:
                result: dict[str, Any] = message["result"]
                return result
