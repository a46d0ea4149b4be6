"""Certificates of a private CA: trusted where PHPMYADMIN_CA_FILE names it, and nowhere else."""

from __future__ import annotations

import base64
import hashlib
import ssl
from functools import lru_cache
from pathlib import Path

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cache.errors import SettingsInvalid

CONNECT_SECONDS = 30


@lru_cache(maxsize=2)  # reading all CAs takes longer than many a request
def trust(ca_file: Path | None) -> ssl.SSLContext:
    """A TLS context that trusts the public CAs, and the one in a PEM file.

    Raises:
        SettingsInvalid: The file cannot be read, or contains no certificate.
    """
    context = httpx2.create_ssl_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError too
            raise SettingsInvalid("PHPMYADMIN_CA_FILE is not a readable PEM file with certificates.") from error
    return context


def public_key_pin(url: str, context: ssl.SSLContext) -> str:
    """Base64 of the SHA-256 of a server's public key (SubjectPublicKeyInfo, RFC 7469).

    Chrome takes no CA file. So the certificate of the server is checked here, its name included, and Chrome is told to
    accept this one key. The request goes through HTTPS_PROXY like Chrome's own.

    Args:
        url: A page of the server.
        context: Says which CAs to trust.

    Raises:
        httpx2.TransportError: The server cannot be reached, or its certificate is not trusted.
    """
    with httpx2.Client(verify=context, timeout=CONNECT_SECONDS) as client, client.stream("HEAD", url) as response:
        connection = response.extensions["network_stream"].get_extra_info("ssl_object")
        certificate = x509.load_der_x509_certificate(connection.getpeercert(True))
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()
