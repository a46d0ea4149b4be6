"""Random `.env` files: whole logins, written well or badly, in all encodings, and what a run has to say about them."""

from __future__ import annotations

import random
import re
from typing import NamedTuple

NAME = "PHPMYADMIN_PASSWORD"
CANARY = "canary-7f3a9c"
"""Stands in secrets beside the password, none of which may be shown."""

HARMLESS = (
    "# it's a comment",
    "# größer, 10 €: 日本",
    "",
    "   ",
    "SHOP_TIMEZONE='Europe/Berlin'",
    'SHOP_CURRENCY="EUR"',
    "export STATEMENT_SECONDS=3",
    "sync_pause_seconds=0",
    "RATE_LIMIT=600/minute # for each key",
    f"DASHBOARD_PASSWORD={CANARY}-ß$HOME",
    f"ORDERS_API_KEY='{CANARY}-0123456789'",
    f'PHPMYADMIN_HEADERS=\'{{"X-Token": "{CANARY}"}}\'',
    f'PHPMYADMIN_HTTP_PASSWORD={CANARY}#"x',
    "PHPMYADMIN_TABLE=orders",
    "SITE=shop.example.com",
    "#" * 100_000,
)
SYNTAX = (
    "words without sense",
    "=x",
    "'",
    "PHPMYADMIN_TABLE",
    f"DASHBOARD_PASSWORD='{CANARY}",
    f'DASHBOARD_PASSWORD="{CANARY}',
    f"DASHBOARD_PASSWORD='{CANARY}'{CANARY}",
    f"DASHBOARD_PASSWORD={CANARY} #{CANARY}",
    f"DASHBOARD_PASSWORD=\u00a0{CANARY}",
    f'DASHBOARD_PASSWORD="{CANARY}\\n{CANARY}"',
    "DATA_DIR=${HOME}/orders",
    "PHPMYADMIN_URL: http://example.com",
)
"""Lines without a clear meaning. A message names the line."""

WRONG = (
    "",
    "many",
    "-1",
    "1e400",
    "nan",
    "inf",
    "9" * 30,
    "http://[",
    "http://db.example.com:x/",
    f"http://{'a' * 70}/",
    "ftp://db.example.com/",
    "~no-such-user/x",
    "x" * 5_000,
    "{}",
    '{"X-Token": "a\\nb"}',
    "../../etc/passwd",
    "TRUE",
    "\u202e\x1b[31m",
    "日本",
)
TYPED = {
    "PHPMYADMIN_URL": r"(?!)",
    "PHPMYADMIN_LOGIN": r"(?!)",
    "PHPMYADMIN_HEADERS": r"\{\}|",
    "PHPMYADMIN_CA_FILE": r"",
    "PHPMYADMIN_TOTP_SECRET": r"|many|TRUE|x+",
    "PHPMYADMIN_PORTAL_URL": r"",
    "SYNC_CONNECTIONS": r"",
    "SYNC_MEMORY_MB": r"",
    "SYNC_PAUSE_SECONDS": r"",
    "SYNC_TIMEOUT_MINUTES": r"",
    "STATEMENT_SECONDS": r"",
    "FULL_CHECK_HOURS": r"",
    "HOLD_BACK_BELOW": r"",
    "CHANGES_DAYS": r"",
    "SOURCE_TIMEZONE": r"",
    "SHOP_TIMEZONE": r"",
    "API_PORT": r"",
    "PORT": r"",
    "LOG_FORMAT": r"",
    "LOG_LEVEL": r"",
    "SCHEDULER": r"",
    "WEEK_START": r"",
    "CACHE_URL": r"",
    "DASHBOARD_URL": r"",
    "WEBHOOK_SECRET": r"",
}
"""Settings of a kind, and the values among WRONG that are of it. An empty value is a missing one."""

ENCODINGS = ("latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
FINE = ("utf-8", "utf-8", "utf-8-sig")
LINE_ENDS = ("\n", "\n", "\r\n", "\r")
MISSPELT = {
    "PHPMYADMIN_DATABSE": "PHPMYADMIN_DATABASE",
    "PHPMYADMIN_TABEL": "PHPMYADMIN_TABLE",
    "SHOP_TIMEZON": "SHOP_TIMEZONE",
    "DASHBOARD_PASSWROD": "DASHBOARD_PASSWORD",
}


class RandomFile(NamedTuple):
    """A `.env` file.

    Attributes:
        kind: What is special about it.
        content: Its bytes.
        password: The password that it means.
        said: A pattern that the run has to say; empty if nothing is wrong.
        password_line: Its line, which may be named instead where a rule of `.env` files would change the password.
    """

    kind: str
    content: bytes
    password: str
    said: str
    password_line: int


def random_file(chance: random.Random, login: dict[str, str]) -> RandomFile:
    """A file with a login and a random password.

    Args:
        chance: Where everything comes from, so that a seed makes it again.
        login: The other settings of the login.
    """
    password, line = written_password(chance)
    lines = [f"{name}={value}" for name, value in login.items()] + [line]
    lines += chance.sample(HARMLESS, chance.randrange(5))
    chance.shuffle(lines)
    encoding, end, said = chance.choice(FINE), chance.choice(LINE_ENDS), ""
    kind = chance.choice(("fine", "fine", "fine", "syntax", "value", "value", "misspelt", "encoding", "zeros", "huge"))
    if kind == "syntax":
        place = chance.randrange(len(lines) + 1)
        lines.insert(place, chance.choice(SYNTAX))
        said = f"line {place + 1}: "
    elif kind == "value":
        name = chance.choice(sorted(TYPED))
        value = chance.choice([value for value in WRONG if not re.fullmatch(TYPED[name], value)])
        lines = [line for line in lines if not re.match(rf"(export )?{name}=", line, re.IGNORECASE)]
        lines.append(f"{name}='{value}'")
        said = name
    elif kind == "misspelt":
        wrong, meant = chance.choice(sorted(MISSPELT.items()))
        lines = [line for line in lines if not line.startswith(f"{meant}=")] + [f"{wrong}=shop"]
        said = f"{wrong} in .env, line {len(lines)}, is not a setting. Did you mean {meant}?"
    elif kind == "huge":
        lines.append("#" + "x" * (1 << 20))
        said = "larger than 1 MB"
    content = end.join(lines + [""] * chance.randrange(2)).encode(encoding)
    if kind == "encoding":
        lines.insert(0, "# größer")
        encoding = chance.choice(ENCODINGS)
        content = end.join(lines).encode(encoding, "replace")
        said = "line 1: .*UTF-8"
    elif kind == "zeros":
        place = chance.randrange(len(content))
        content = content[:place] + b"\0" + content[place:]
        said = r"line \d+: .*UTF-8"
    return RandomFile(kind, content, password, said, lines.index(line) + 1)


def written_password(chance: random.Random) -> tuple[str, str]:
    """A password, and the line that a person writes for it."""
    letters = "abcXYZ019 #$'\"\\{}=%&!äß€日\t`;|+@:/"
    password = "".join(chance.choice(letters) for _ in range(chance.randrange(6, 24))).strip() or "x"
    quote = chance.choice(["", "'", '"'])
    if "\\" in password and quote:  # in quotes, a backslash may stand for what follows it, as the example says
        password = password.replace("\\", "n")
    if password[0] in "'\"" and not quote:  # this begins a quote
        password = f"x{password}"
    return password, f"{chance.choice(['', 'export ', ' '])}{NAME}={quote}{password}{quote}"


def other_line(chance: random.Random) -> str:
    """A line that may be a setting, a comment, or broken in any way."""
    noise = "".join(chr(chance.choice([*range(1, 127), 0xE4, 0x20AC])) for _ in range(chance.randrange(12)))
    return chance.choice([*HARMLESS[:-1], *SYNTAX, noise])
