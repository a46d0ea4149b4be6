"""Documents that no sync can restore: what people made, and what stays as it was first decided.

They are stored outside the folder of snapshots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from cache.access.api_keys import ApiKeys
from cache.reading import StoredReading
from cache.table_setup import Setup

Content = TypeVar("Content", bound=BaseModel)


@dataclass(frozen=True)
class Document(Generic[Content]):
    """A kind of document. Each cache has one document of each kind.

    Attributes:
        name: The name under which it is stored, without a file extension.
        model: The class of its content. Without arguments, the class makes the initial document.
        secret: Whether only the owner of the file may read it. The first read saves a secret document: all processes
            then share its secrets. A damaged secret document is an error. Any other damaged document counts as initial.
    """

    name: str
    model: type[Content]
    secret: bool = False


SETUP = Document("setup", Setup)
READING = Document("reading", StoredReading)
API_KEYS = Document("clients", ApiKeys, secret=True)
DOCUMENTS = (SETUP, READING, API_KEYS)
