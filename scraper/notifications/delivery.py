"""Sends one request to PING_URL or WEBHOOK_URL.

Events are signed as Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

The settings may come from someone who should not reach other hosts of this network. So by default an address must be
public, and the connection goes to the very address that was looked at.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import time
from collections.abc import Mapping
from ipaddress import ip_address

import httpx2

SECONDS = 10  # without an answer
ATTEMPTS, PAUSES = 3, (1.0, 4.0)  # seconds between two attempts
SECRET_PREFIX = "whsec_"  # noqa: S105  what each secret begins with


class NotDelivered(Exception):
    """The request was not answered with success. The message never has the URL, which may be a secret."""


def signed_headers(secret: str, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a signed event.

    Args:
        secret: The secret, in base64 after SECRET_PREFIX.
        id: The id of the event. It is the same in each attempt.
        timestamp: Seconds since 1970.
        body: The event as it is sent.
    """
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def send(method: str, url: str, private: bool, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
    """Sends a request, and tries again after an error that may pass.

    Args:
        method: The HTTP method.
        url: Where to.
        private: Whether the host may have an address that is not public.
        body: The body.
        headers: Headers beside the usual ones.

    Raises:
        NotDelivered: The host is refused, or no attempt was answered with success. Redirects are not followed.
    """
    for attempt in range(ATTEMPTS):
        try:
            status = _send(method, url, private, body, headers or {})
            if 200 <= status < 300:
                return
            failure = f"it answers {status}"
            if status < 500 and status not in (408, 429):
                break
        except httpx2.InvalidURL as error:
            raise NotDelivered("it is not a URL") from error
        except (httpx2.HTTPError, OSError) as error:
            failure = f"it cannot be reached ({type(error).__name__})"
        if attempt < len(PAUSES):
            time.sleep(PAUSES[attempt])
    raise NotDelivered(failure)


def _send(method: str, url: str, private: bool, body: bytes, headers: Mapping[str, str]) -> int:
    named = httpx2.URL(url)
    if named.scheme not in ("http", "https") or not named.host:
        raise NotDelivered("it is not a URL that begins with http:// or https://")
    address = _address(named, private)
    request = httpx2.Request(
        method,
        named.copy_with(host=address),
        headers={"Host": named.netloc.decode(), "User-Agent": "phpmyadmin-orders", **headers},
        content=body,
        extensions={"sni_hostname": named.host},
    )
    with httpx2.Client(timeout=SECONDS, trust_env=False, follow_redirects=False) as client:
        return client.send(request, stream=True).status_code  # what it says is not read


def _address(url: httpx2.URL, private: bool) -> str:
    """An address of the host, whose addresses are all public, unless private ones are allowed."""
    port = url.port or (443 if url.scheme == "https" else 80)
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)]
    if not private and not all(ip_address(address.partition("%")[0]).is_global for address in found):
        raise NotDelivered("its host is not public; NOTIFY_PRIVATE_HOSTS=allowed allows that")
    return found[0]
