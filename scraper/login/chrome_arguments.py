"""The command line arguments of Chrome that depend on the settings: which certificate it accepts, and which hosts."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx2

from scraper.client.tls import public_key_pin, trust
from scraper.client.unreachable import proxy_of, unreachable
from scraper.login.settings import LoginSettings
from scraper.login.trusted_hosts import trusted_origins

_NOWHERE = "blocked.invalid:1"  # a proxy that does not exist (RFC 6761)
_PAC = """
const routes = %s;
function FindProxyForURL(url, host) {
  return routes[`${url.split(":")[0]}://${host.replace(/^\\[|\\]$/g, "")}`] || "PROXY %s";
}
"""


def chrome_arguments(settings: LoginSettings) -> list[str]:
    """The command line arguments of Chrome that depend on the settings.

    Raises:
        CertificateRefused: PHPMYADMIN_CA_FILE is not the CA of the server's certificate.
        Unreachable: The certificate cannot be fetched.
        SettingsInvalid: PHPMYADMIN_CA_FILE cannot be read.
    """
    arguments = _network(settings)
    if settings.phpmyadmin_ca_file and settings.start_url.startswith("https:"):
        try:
            pin = public_key_pin(settings.start_url, trust(settings.phpmyadmin_ca_file))
        except httpx2.TransportError as error:
            raise unreachable(settings.start_url, error) from error
        arguments.append(f"--ignore-certificate-errors-spki-list={pin}")
    return arguments


def uses_proxy(settings: LoginSettings) -> bool:
    """Whether Chrome reaches a host that the settings name through a proxy of the environment."""
    return bool(_proxies(settings))


def _proxies(settings: LoginSettings) -> dict[tuple[str, str], str]:
    return {origin: proxy for origin in trusted_origins(settings) if (proxy := proxy_of(*origin))}


def _network(settings: LoginSettings) -> list[str]:
    """Arguments with which Chrome connects to no host that the settings do not name.

    Chrome repeats a form with its password at each redirect with status 307 or 308, and sends extra headers anywhere.
    """
    origins, proxies = sorted(trusted_origins(settings)), _proxies(settings)
    if not proxies:
        allowed = ";".join(f"{scheme}://{_bracketed(host)}" for scheme, host in origins)
        return [f"--proxy-server={_NOWHERE}", f"--proxy-bypass-list=<-loopback>;{allowed}"]
    return _network_with_proxies(origins, proxies)


def _network_with_proxies(origins: list[tuple[str, str]], proxies: Mapping[tuple[str, str], str]) -> list[str]:
    routes = {
        f"{scheme}://{host}": _route(proxies[scheme, host]) if (scheme, host) in proxies else "DIRECT"
        for scheme, host in origins
    }
    pac = base64.b64encode((_PAC % (json.dumps(routes), _NOWHERE)).encode()).decode()
    # Chrome asks no script about addresses of this machine: names and addresses have a rule of their own.
    hosts = {_bracketed(host) for _, host in origins} | {urlsplit(proxy).hostname or "" for proxy in proxies.values()}
    exclusions = "".join(f", EXCLUDE {host}" for host in sorted(hosts))
    return [
        f"--proxy-pac-url=data:application/x-ns-proxy-autoconfig;base64,{pac}",
        f"--host-resolver-rules=MAP * ~NOTFOUND{exclusions}",
    ]


def _route(proxy: str) -> str:
    """A proxy as a PAC script names it."""
    url = urlsplit(proxy)
    kind = {"http": "PROXY", "https": "HTTPS", "socks4": "SOCKS4"}.get(url.scheme, "SOCKS5")
    return f"{kind} {url.netloc.rpartition('@')[2]}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
