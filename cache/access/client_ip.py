"""Which address a request comes from, as limits count addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from cache.errors import SettingsInvalid

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """Those whose word counts. Parameters: `trusted` is TRUSTED_PROXIES. Raises SettingsInvalid."""

    def __init__(self, trusted: str | None) -> None:
        try:
            self._trusted: list[Network] = [
                ipaddress.ip_network(each.strip()) for each in (trusted or "").split(",") if each.strip()
            ]
        except ValueError as error:
            advice = "Write addresses or networks with commas between them: 10.0.0.0/8, 127.0.0.1, ::1."
            raise SettingsInvalid(f"TRUSTED_PROXIES does not parse: {error}.", advice) from error

    def client(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The address that the nearest proxy of ours names in `X-Forwarded-For` and that is none of our proxies;
        `peer`, who is at the other end of the connection, where it is no proxy of ours."""
        if not self._trusted or not self._trusts(peer):
            return peer
        named = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
        client = peer
        for hop in reversed(named.split(",")):
            if not _parsed(hop.strip()):
                break
            client = hop.strip()
            if not self._trusts(client):
                break
        return client

    def _trusts(self, host: str) -> bool:
        address = _parsed(host)
        return address is not None and any(address in network for network in self._trusted)


@lru_cache(maxsize=4096)
def counted_as(host: str) -> str:
    """An IPv4 address, or the first 64 bits of one of IPv6, since that is what one client gets."""
    address = _parsed(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or host)


def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
