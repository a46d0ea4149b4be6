"""Certificates of a private CA: trusted where PHPMYADMIN_CA_FILE names it, and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import ssl
from pathlib import Path

import httpx

from cache.errors import SettingsInvalid

PATIENCE = 30  # seconds to connect


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """The public authorities, and the one in the file. Raises SettingsInvalid."""
    context = httpx.create_ssl_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # of ssl, too
            raise SettingsInvalid("PHPMYADMIN_CA_FILE names no readable file of certificates (PEM).") from error
    return context


def pin(url: str, context: ssl.SSLContext) -> str:
    """Base64 of the SHA-256 of the public key (SubjectPublicKeyInfo) that a server proves to hold, for Chrome.

    Chrome takes no CA file. So the server's certificate is checked here, its name included, and Chrome is told to
    accept this one key. The way there is Chrome's: through HTTPS_PROXY, where that is set. Raises httpx.TransportError.
    """
    with httpx.Client(verify=context, timeout=PATIENCE) as client, client.stream("HEAD", url) as response:
        secure = response.extensions["network_stream"].get_extra_info("ssl_object")
        certificate = secure.getpeercert(True)
    return base64.b64encode(hashlib.sha256(_public_key(certificate)).digest()).decode()


def _public_key(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate in DER (RFC 5280, 4.1): the seventh part, or the sixth of version 1."""
    outer, _ = _content(certificate, 0)
    at, _ = _content(certificate, outer)
    parts = []
    for _ in range(7):
        _, end = _content(certificate, at)
        parts.append(certificate[at:end])
        at = end
    return parts[6] if parts[0][0] == 0xA0 else parts[5]


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends (X.690, 8.1.3)."""
    length, begins = der[at + 1], at + 2
    if length & 0x80:
        begins += length & 0x7F
        length = int.from_bytes(der[at + 2 : begins], "big")
    return begins, begins + length
