"""Why a server cannot be reached, in our own words, and through which proxy it was tried."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from scraper.errors import CertificateRefused, Unreachable

log = logging.getLogger(__name__)

_CHECK_URL = "Check the host and the port in PHPMYADMIN_URL."
_CHECK_PROXY = "Correct the proxy in the environment, or name the host in NO_PROXY."
_REASONS = (
    # what OpenSSL, the libraries and Chrome say; what it means; what to do
    (r"timed? ?out|Timeout", "it sent nothing for too long", "Check the port in PHPMYADMIN_URL, or try again later."),
    (
        r"\b407\b|Tunnel connection failed|TUNNEL_CONNECTION|PROXY_CONNECTION|PROXY_AUTH",
        "the proxy does not let the connection through",
        _CHECK_PROXY,
    ),
    (
        r"not known|nodename nor|getaddrinfo|No address|name resolution|NAME_NOT_RESOLVED|label (?:too long|empty)",
        "no host of that name is known here",
        _CHECK_URL,
    ),
    (
        r"complete message body|IncompleteRead|CONTENT_LENGTH|INCOMPLETE_CHUNKED",
        "it closed the connection in the middle of an answer",
        "Try again later, or look for the reason in the log of its web server.",
    ),
    (r"refused|REFUSED", "nothing listens at that port", _CHECK_URL),
    (r"No route|unreachable|UNREACHABLE|DISCONNECTED", "the network knows no way to it", _CHECK_URL),
    (
        r"WRONG_VERSION|RECORD_LAYER|HTTP_REQUEST|UNKNOWN_PROTOCOL|PACKET_LENGTH|record overflow|SSL_PROTOCOL_ERROR",
        "it does not speak https at that port",
        "Write http:// in PHPMYADMIN_URL, or the port of https.",
    ),
    (
        r"illegal status|illegal header|BadStatusLine|INVALID_HTTP_RESPONSE|malformed",
        "what it speaks at that port is not http",
        "Write https:// in PHPMYADMIN_URL, or the port of http.",
    ),
    (
        r"EOF|ALERT|handshake|HANDSHAKE",
        "it does not agree to an https connection",
        "Check scheme and port in PHPMYADMIN_URL, and whether the web server offers TLS 1.2 or later.",
    ),
    (
        r"reset|RESET|disconnected|EMPTY_RESPONSE|CONNECTION_CLOSED|abort|ABORTED|Broken pipe",
        "it closed the connection without an answer",
        "Check scheme and port in PHPMYADMIN_URL: it may speak https there. Or try again later.",
    ),
)
_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED|ERR_CERT|ERR_SSL_KEY_USAGE")
_CERTIFICATES = (
    (
        r"[Mm]ismatch|doesn't match|COMMON_NAME",
        "it is for another host name",
        "Set PHPMYADMIN_URL to the host name that the certificate is for.",
    ),
    (r"expired|DATE_INVALID|not yet valid", "it has expired, or is not valid yet", "Renew the server's certificate."),
    (
        r"self.signed|issuer|AUTHORITY|verify the first",
        "no CA that this machine trusts has signed it",
        "Set PHPMYADMIN_CA_FILE to the certificate of the private CA.",
    ),
)


def unreachable(url: str, error: BaseException | str) -> Unreachable | CertificateRefused:
    """The error for a connection that failed.

    Args:
        url: Where to. The message names its host, and the proxy to it.
        error: What httpx2, requests, urllib3 or a socket raised, or what Chrome says, such as `ERR_NAME_NOT_RESOLVED`.
    """
    host, way = urlsplit(url).netloc.rpartition("@")[2], through_proxy(url)
    text = error if isinstance(error, str) else " ".join(f"{type(each).__name__} {each}" for each in causes(error))
    log.debug("connection to %s%s: %s", host, way, text)
    text = _without_address(text, url)
    if _CERTIFICATE.search(text):
        fits = (case[1:] for case in _CERTIFICATES if re.search(case[0], text))
        reason, advice = next(fits, ("this machine cannot verify it", CertificateRefused.advice))
        return CertificateRefused(f"The certificate of {host} is not trusted: {reason}.", advice)
    fits = (case[1:] for case in _REASONS if re.search(case[0], text))
    reason, advice = next(fits, ("the connection failed", _CHECK_URL))
    if way and advice is _CHECK_URL:  # the only host that is connected to
        reason, advice = "the proxy cannot be reached", _CHECK_PROXY
    return Unreachable(f"{host} cannot be reached{way}: {reason}.", advice)


def _without_address(text: str, url: str) -> str:
    """What a library says, without where to: a host may be called `reset.example`, and a port may be 407."""
    text = re.sub(r"host='[^']*'|port=\d+|url: \S+", "", text)
    host = re.escape(urlsplit(url).hostname or "")
    return re.sub(rf"(?<!\w){host}(?::\d+)?(?!\w)", "", text) if host else text


def speaks_https(page: str) -> bool:
    """Whether a page says that http was spoken to a port of https, as nginx, Apache, Go and Caddy write it."""
    words = r"plain HTTP (?:request was sent )?to (?:an SSL|HTTPS)|HTTP request to an HTTPS"
    return bool(re.search(words, page[:5000]))


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes, the first cause last."""
    current: BaseException | None = error
    while current is not None:
        yield current
        inner = (getattr(current, "reason", None), *current.args, current.__cause__, current.__context__)
        current = next((cause for cause in inner if isinstance(cause, BaseException)), None)


def proxy_of(scheme: str, host: str) -> str | None:
    """The URL of the proxy that the environment names for a host."""
    address = None if proxy_bypass(host) else getproxies().get(scheme) or getproxies().get("all")
    return address if address is None or "://" in address else f"http://{address}"


def through_proxy(url: str) -> str:
    """How a message names the proxy on the way to a page, without its password; empty where there is none."""
    parts = urlsplit(url)
    proxy = proxy_of(parts.scheme, parts.hostname or "")
    if proxy is None:
        return ""
    name = f"{parts.scheme.upper()}_PROXY" if getproxies().get(parts.scheme) else "ALL_PROXY"
    return f" through the proxy {urlsplit(proxy).netloc.rpartition('@')[2]} ({name})"
