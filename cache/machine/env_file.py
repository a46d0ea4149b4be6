"""The `.env` file of a machine: its settings as they are written there, or one message that names the line.

python-dotenv parses it. What that library would change without a word is refused here: a password that ends at ` #`, a
backslash that becomes a line break, a quote that takes in the next line. Nothing is replaced: `${HOME}` is text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from cache.errors import SettingsInvalid

MAX_BYTES = 1 << 20  # a file of settings has a few thousand
_ENCODING = "Save the file as UTF-8: editors offer it under `Save as`."
_FORM = "Write NAME=value, or begin the line with # if it is a comment."
_SINGLE = "Put the value in single quotes: NAME='value'."
_QUOTING = "If that is part of the value, put it in single quotes: NAME='value'. Else put it on a line of its own."
_SECRET = re.compile(r"PASSWORD|SECRET|KEY|HEADERS", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_LATER_SETTING = re.compile(r"[\r\n]\s*(?:export\s+)?[A-Z][A-Z0-9_]*\s*=", re.IGNORECASE)


@dataclass(frozen=True)
class EnvFile:
    """What a `.env` file says.

    Attributes:
        values: Each name, in capitals, and its value, as written; of a name that stands twice, the last.
        lines: The line on which each name stands, counted from 1.
        repeated: Names that stand there more than once.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    repeated: tuple[str, ...] = ()


def read_env_file(path: Path) -> EnvFile:
    """Reads a `.env` file; a missing one is empty.

    Raises:
        SettingsInvalid: It cannot be read, is not UTF-8, or a line has no clear meaning. The message names the line,
            and never shows what it says.
    """
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    repeated: list[str] = []
    for binding in parse_stream(io.StringIO(_text(path), newline="")):
        written = binding.original.string.lstrip()
        line = binding.original.line + len(re.findall(r"\r\n|\n|\r", binding.original.string[: -len(written) or None]))
        if fault := _fault(binding, written):
            raise SettingsInvalid(f"{path}, line {line}: {fault[0]}.", fault[1])
        if binding.key is not None and binding.value is not None:
            name = binding.key.upper()
            if name in values:
                repeated.append(name)
            values[name], lines[name] = binding.value, line
    return EnvFile(values, lines, tuple(dict.fromkeys(repeated)))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        advice = "Give this user read access to the file, or name another one in ENV_FILE."
        raise SettingsInvalid(f"{path} cannot be read: {error.strerror}.", advice) from error
    if len(content) > MAX_BYTES:
        raise SettingsInvalid(f"{path} is larger than 1 MB.", "Name a file of settings in ENV_FILE.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        line = 1 if content[:2] in (b"\xff\xfe", b"\xfe\xff") else content[: content.index(b"\0")].count(b"\n") + 1
        raise SettingsInvalid(f"{path}, line {line}: this is not UTF-8 but UTF-16 or no text.", _ENCODING)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n|\n|\r", content[: error.start])) + 1
        raise SettingsInvalid(f"{path}, line {line}: a character is not UTF-8.", _ENCODING) from None


def _fault(binding: Binding, written: str) -> tuple[str, str] | None:
    """What is unclear about a line, and what to do; None where nothing is."""
    start, equals, given = (part.strip() for part in written.partition("="))
    name = start.removeprefix("export").strip()
    quote = given[:1] if given[:1] in ("'", '"') else ""
    if binding.error and not (equals and re.fullmatch(r"\w{1,60}", name, re.ASCII)):
        return "this is not NAME=value", _FORM
    if quote and _LATER_SETTING.search(given):
        return f"the quote of {name} is closed on a later line, after another setting", f"Close it with {quote}."
    if binding.error and quote not in re.sub(r"\\.", "", given[1:]):
        return f"the quote of {name} is not closed", f"Close it with {quote}, or leave it out."
    if binding.error or (quote and _goes_on(name, given, quote)):
        return f"text follows the closing quote of {name}", f"Write \\{quote} for a quote inside of the quotes."
    if binding.key is None:
        return None
    if binding.value is None:
        return "there is no = after the name", _FORM
    if _SECRET.search(name) and written.partition("=")[2].strip(" \t\r\n") != given:
        return f"{name} begins or ends with a character that looks like a space and is none", _QUOTING
    return _changed(binding.key, given, binding.value, quote)


def _goes_on(name: str, given: str, quote: str) -> bool:
    """Whether a value in quotes seems to go on after its closing quote, in what would be a comment."""
    comment = re.sub(rf"{quote}(?:\\{quote}|[^{quote}])*{quote}", "", given, count=1)
    return bool(re.match(r"\S", comment)) or (bool(_SECRET.search(name)) and comment.endswith(quote))


def _changed(name: str, given: str, value: str, quote: str) -> tuple[str, str] | None:
    """What the rules of `.env` files would change without a word."""
    if not quote and given != value and _SECRET.search(name):
        return f"{name} is cut at ` #`, which begins a comment", _QUOTING
    if any(character not in given for character in _CONTROLS.findall(value)):
        return f"{name} has a backslash in double quotes, which makes a control character of it", _SINGLE
    if "${" in value and not _SECRET.search(name):
        return f"{name} contains ${{…}}, and nothing is replaced in this file", "Write the value itself."
    return None
