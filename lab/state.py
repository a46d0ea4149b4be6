"""What lab.json keeps, so that any process finds the lab's servers again, and how they are started and ended."""

import json
import secrets
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from lab import processes
from lab.processes import Mark
from lab.servers import LabError, Server, free_port, new_secret

START_SECONDS = 90


@dataclass
class State:
    file: Path
    """Where it is kept."""
    home: str
    """The folder of the servers' files."""
    database_port: int = field(default_factory=free_port)
    phpmyadmin_port: int = field(default_factory=free_port)
    username: str = "analyst"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    root_password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    blowfish_secret: str = field(default_factory=new_secret)
    running: dict[str, list[Mark]] = field(default_factory=dict)
    """The processes of each server, its parent first."""

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """The state that was kept in this file, or None when there is no file."""
        try:
            state = cls(file, **json.loads(file.read_text()))
        except FileNotFoundError:
            return None
        state.running = {part: [(pid, began) for pid, began in marks] for part, marks in state.running.items()}
        return state

    def write(self) -> None:
        """Keep the state, for the eyes of this user alone."""
        values = asdict(self)
        del values["file"]
        new = self.file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(values, indent=2))
        new.replace(self.file)

    def runs(self, part: str) -> bool:
        """Whether the server that goes by this name runs."""
        marks = self.running.get(part, [])
        return bool(marks) and processes.alive(marks[0])  # the first is the parent

    def start(self, part: str, server: Server) -> None:
        """Start a server, if it does not run, and return when it answers.

        Raises:
            LabError: it did not.
        """
        if self.runs(part):
            return
        self.stop(part)  # what a dead parent left behind
        server.prepare()
        process = processes.spawn(server.command(), log=server.log, cwd=Path(self.home), env=server.environment())
        self.running[part] = processes.tree(process.pid)
        self.write()
        deadline = time.monotonic() + START_SECONDS
        while not server.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop(part, kill=True)
                tail = server.log.read_text(errors="replace")[-800:]
                raise LabError(f"{server.name} did not start. The end of {server.log}:\n{tail}")
            time.sleep(0.05)
        self.running[part] = processes.tree(process.pid)  # its workers too: they outlive a killed parent
        self.write()

    def stop(self, part: str, *, kill: bool = False) -> None:
        """End a server; `kill`: at once, as a crash does."""
        processes.end(self.running.pop(part, []), kill=kill)
        self.write()
