"""Checks what happened to a shared cache: what its hosts noted, and what its database accepted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AUDIT = """
CREATE TABLE accepted (
    n bigint GENERATED ALWAYS AS IDENTITY, term text, epoch bigint, host text, writer text, generation bigint,
    digest text, moved boolean
);
CREATE FUNCTION accept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO accepted (term, epoch, host, writer, generation, digest, moved) VALUES (
        NEW.name, NEW.epoch, NEW.host, current_setting('application_name'), NEW.generation, NEW.digest,
        NEW.head IS DISTINCT FROM OLD.head OR NEW.generation IS DISTINCT FROM OLD.generation
    );
    RETURN NULL;
END $$;
CREATE TRIGGER accepted AFTER UPDATE ON orders_cache.terms FOR EACH ROW
WHEN (NEW.epoch <> OLD.epoch OR NEW.generation IS DISTINCT FROM OLD.generation OR NEW.head IS DISTINCT FROM OLD.head)
EXECUTE FUNCTION accept()
"""
"""Notes in the same transaction what was accepted. The row is locked, so the order is that of the commits."""

READ_AUDIT = "SELECT term, epoch, host, writer, generation, digest, moved FROM accepted ORDER BY n"

Event = dict[str, Any]


@dataclass(frozen=True)
class Accepted:
    """A change of a term that the database accepted.

    Attributes:
        term: `leader` or `sync`.
        epoch: of the term, after it.
        host: that holds the term.
        writer: the host whose statement it was.
        generation: the newest one, after it.
        digest: of that generation.
        moved: whether it is a publish or a confirmation.
    """

    term: str
    epoch: int
    host: str
    writer: str
    generation: int | None
    digest: str | None
    moved: bool


def history_of(folder: Path) -> list[Event]:
    """What a host noted. A process that is killed may leave half a line."""
    text = (folder / "history").read_text()
    return [json.loads(line) for line in text.splitlines()]


def faults(histories: dict[str, list[Event]], accepted: Sequence[Accepted], first: int = 0) -> list[str]:
    """What must not happen, of all that happened.

    Parameters: `histories` are those of hosts, by name; `first` is the newest generation before the audit.
    """
    return [
        *_epochs(accepted),
        *_acceptances(accepted, first),
        *_late(histories),
        *_acknowledged(histories, accepted),
        *_readers(histories, accepted),
    ]


def _epochs(accepted: Sequence[Accepted]) -> Iterator[str]:
    """Epochs never go back."""
    newest: dict[str, int] = {}
    for each in accepted:
        if each.epoch < newest.get(each.term, 0):
            yield f"epoch {each.epoch} of {each.term} after {newest[each.term]}"
        newest[each.term] = each.epoch


def _acceptances(accepted: Sequence[Accepted], first: int) -> Iterator[str]:
    """Each generation is accepted once, over the one before it, from the host that holds the term."""
    newest, digest = first, None
    for each in accepted:
        if each.moved and each.writer != each.host:
            yield f"generation {each.generation} from {each.writer} while {each.host} held the term"
        if each.term == "sync" and each.generation is not None:
            if each.generation not in (newest, newest + 1):
                yield f"generation {each.generation} after {newest}"
            if each.generation == newest and digest is not None and each.digest != digest:
                yield f"generation {each.generation} twice"
            newest, digest = each.generation, each.digest


def _late(histories: dict[str, list[Event]]) -> Iterator[str]:
    """Nothing is accepted that began after a later epoch was taken."""
    events = [event for history in histories.values() for event in history]
    taken = sorted((event["at"], event["epoch"]) for event in events if event["event"] == "took")
    for epoch, count in Counter(epoch for _, epoch in taken).items():
        if count > 1:
            yield f"epoch {epoch} taken {count} times"
    for event in events:
        if event["event"] == "write" and event.get("accepted"):
            later = [epoch for at, epoch in taken if at < event["began"] and epoch > event["epoch"]]
            if later:
                yield f"{event['kind']} of epoch {event['epoch']} began after epoch {max(later)} was taken"


def _acknowledged(histories: dict[str, list[Event]], accepted: Sequence[Accepted]) -> Iterator[str]:
    """Each publish that a host was told of was accepted."""
    digests = {(each.generation, each.digest) for each in accepted}
    for history in histories.values():
        for event in history:
            if event["event"] == "write" and event["kind"] == "publish":
                is_there = (event.get("generation"), event.get("digest")) in digests
                if event.get("accepted") and not is_there:
                    yield f"generation {event['generation']} was acknowledged and is lost"


def _readers(histories: dict[str, list[Event]], accepted: Sequence[Accepted]) -> Iterator[str]:
    """No reader goes back, all see the same, and each ends on the newest."""
    newest = max((each.generation or 0 for each in accepted), default=0)
    marks: dict[int, set[str]] = {}
    for name, history in histories.items():
        last = 0
        for event in history:
            if event["event"] == "published":
                marks.setdefault(event["generation"], set()).add(event["mark"])
            if event["event"] == "seen":
                marks.setdefault(event["generation"], set()).update(event["marks"])
                if event["generation"] < last:
                    yield f"{name} saw {event['generation']} after {last}"
                last = event["generation"]
        if last != newest:
            yield f"{name} ends on {last}, not on {newest}"
    for generation, found in marks.items():
        if len(found) > 1:
            yield f"generation {generation} is {sorted(found)}"
