"""What lab.json keeps, so that any process finds the lab's servers again."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from lab.processes import Mark
from lab.servers import free_port, new_secret


@dataclass
class State:
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
            state = cls(**json.loads(file.read_text()))
        except FileNotFoundError:
            return None
        state.running = {part: [(pid, began) for pid, began in marks] for part, marks in state.running.items()}
        return state

    def write(self, file: Path) -> None:
        """Keep the state, for the eyes of this user alone."""
        new = file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(asdict(self), indent=2))
        new.replace(file)
