"""What people made: documents that no sync can make again, kept outside the folder of snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from cache.access.api_keys import ApiKeys
from cache.table_setup import Setup

Content = TypeVar("Content", bound=BaseModel)


@dataclass(frozen=True)
class Document(Generic[Content]):
    """A kind of document, of which each cache has one.

    Attributes:
        name: What it is called where documents are kept, without an ending.
        model: What it holds. Without arguments it is the document before anyone changed it.
        secret: Only its owner may read it. The first read saves it, so that all processes share its secrets, and a
            damaged one is an error. Any other document counts as unchanged where it is damaged.
    """

    name: str
    model: type[Content]
    secret: bool = False


SETUP = Document("setup", Setup)
API_KEYS = Document("clients", ApiKeys, secret=True)
DOCUMENTS = (SETUP, API_KEYS)
