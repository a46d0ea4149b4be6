"""What clients may send, and how long they may take. API and dashboard have the same limits."""

from __future__ import annotations

from enum import Enum

MAX_HEAD, MAX_BODY = 32 * 1024, 64 * 1024  # bytes
RECEIVE_SECONDS = 20
STALLED_SECONDS = 60  # without taking any of a response


class Refusal(Enum):
    """Why a connection is ended: the status and a sentence."""

    NOT_HTTP = 400, "This is not a valid HTTP request."
    TOO_SLOW = 408, f"The request took over {RECEIVE_SECONDS} seconds to arrive."
    BODY_TOO_LARGE = 413, f"The body is longer than {MAX_BODY // 1024} KB."
    HEAD_TOO_LARGE = 431, f"Address and headers are longer than {MAX_HEAD // 1024} KB."

    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        self.sentence = sentence
