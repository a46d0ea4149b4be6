"""The IP address of a client, as rate limits count it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from cache.errors import SettingsInvalid

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """The reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""

    def __init__(self, trusted: str | None) -> None:
        """Parses the setting.

        Args:
            trusted: TRUSTED_PROXIES: addresses or networks with commas between them; None for no proxy.

        Raises:
            SettingsInvalid: It does not parse.
        """
        try:
            self._trusted: list[Network] = [
                ipaddress.ip_network(each.strip()) for each in (trusted or "").split(",") if each.strip()
            ]
        except ValueError as error:
            advice = "Write addresses or networks with commas between them: 10.0.0.0/8, 127.0.0.1, ::1."
            raise SettingsInvalid("TRUSTED_PROXIES has something that is no address or network.", advice) from error

    def client(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The address of the client of a request.

        Args:
            peer: The address at the other end of the connection.
            headers: Names in lower case and values of the request's headers.

        Returns:
            The last address in `X-Forwarded-For` that is not a trusted proxy; `peer` where that is not one either.
        """
        if not self._trusted or not self._trusts(peer):
            return peer
        client = peer
        for hop in reversed(_values(headers, b"x-forwarded-for")):
            if not _parsed(hop):
                break
            client = hop
            if not self._trusts(client):
                break
        return client

    def is_https(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a trusted proxy says that the client came to it by https.

        Args:
            peer: The address at the other end of the connection.
            headers: Names in lower case and values of the request's headers.
        """
        return self._trusts(peer) and _values(headers, b"x-forwarded-proto")[-1].lower() == "https"

    def _trusts(self, host: str) -> bool:
        address = _parsed(host)
        return address is not None and any(address in network for network in self._trusted)


@lru_cache(maxsize=4096)
def counted_as(host: str) -> str:
    """What rate limits count: an IPv4 address, or the first 64 bits of an IPv6 address, which one client owns."""
    address = _parsed(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or host)


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    """The values of a header that is a list. Without it, one empty value."""
    joined = b",".join(value for name, value in headers if name == wanted).decode("latin-1")
    return [value.strip() for value in joined.split(",")]


def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
