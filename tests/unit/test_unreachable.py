"""A connection that fails is explained in our own words: what it is, which proxy was used, and what to do."""

from __future__ import annotations

import datetime
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from web_server import Handler, serving

from cache.errors import OrdersError
from scraper import doctor
from scraper.client.transport import HttpTransport
from scraper.client.unreachable import unreachable
from scraper.doctor import reachable
from scraper.errors import CertificateRefused
from scraper.login.chrome import failures, install_advice
from scraper.login.login import log_in
from scraper.settings import ScraperSettings

THEIRS = re.compile(r"Errno|\[SSL|SSL:|_ssl|violation|ERR_|HTTPConnection|Max retries|urllib|Value error|Exception")


class Answering(Handler):
    """Answers with status and page."""

    status, page = 200, ""

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.page.encode())


def settings(url: str, ca: Path | None = None) -> ScraperSettings:
    return ScraperSettings.load(
        phpmyadmin_url=url, phpmyadmin_database="shop", phpmyadmin_login="http", phpmyadmin_ca_file=ca
    )


def said(url: str, ca: Path | None = None) -> set[str]:
    """What `doctor`, a login and an export say about an address: all the same."""
    loaded = settings(url, ca)
    errors = []
    for connect in (lambda: log_in(loaded), lambda: HttpTransport({}, ca).post(loaded.phpmyadmin_url, {}, len)):
        with pytest.raises(OrdersError) as caught:
            connect()
        errors.append(f"{caught.value.message} {caught.value.advice}")
    found = reachable(loaded)
    assert not found.fine
    words = {f"{found.what} {found.advice}", *errors}
    assert not THEIRS.search(" ".join(words)), words
    return words


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates that are their own CA: `mine` for 127.0.0.1, `other` for another host, `old` that has expired."""
    folder = tmp_path_factory.mktemp("certificates")
    today = datetime.datetime.now(datetime.UTC)
    for name, host, end in (("mine", "127.0.0.1", 1), ("other", "10.1.2.3", 1), ("old", "127.0.0.1", -1)):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        made = (
            x509.CertificateBuilder(subject, subject, key.public_key(), 1)
            .not_valid_before(today - datetime.timedelta(9))
            .not_valid_after(today + datetime.timedelta(end))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), False)
            .add_extension(x509.BasicConstraints(True, None), True)
            .sign(key, hashes.SHA256())
        )
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        (folder / f"{name}.pem").write_bytes(made.public_bytes(pem))
        (folder / f"{name}.key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return folder


def tls(certificates: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    return context


@pytest.mark.parametrize(
    ("name", "ca", "reason"),
    [
        ("mine", None, "no CA that this machine trusts has signed it. Set PHPMYADMIN_CA_FILE to"),
        ("other", "other", "it is for another host name. Set PHPMYADMIN_URL to the host name"),
        ("old", "old", "it has expired, or is not valid yet. Renew"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_named(
    here: Path, certificates: Path, name: str, ca: str | None, reason: str
) -> None:
    with serving(Answering, tls=tls(certificates, name)) as url:
        [words] = said(url, ca and certificates / f"{ca}.pem")
    assert words.startswith(f"The certificate of {url.removeprefix('https://')} is not trusted: {reason}")


class RefusingTls(Handler):
    """Answers the beginning of TLS as web servers do. Python's own may close the connection before it has read all."""

    def handle(self) -> None:
        self.request.recv(65_536)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_https_to_a_port_of_http_says_so(here: Path) -> None:
    with serving(RefusingTls) as url:
        [words] = said(url.replace("http:", "https:"))
    assert words.endswith(
        "it does not speak https at that port. Write http:// in PHPMYADMIN_URL, or the port of https."
    )


@pytest.mark.parametrize("server", ["python", "nginx", "Apache"])
def test_http_to_a_port_of_https_says_so(
    here: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    pages = {
        "nginx": "<center>The plain HTTP request was sent to HTTPS port</center>",
        "Apache": "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
    }
    if server == "python":  # which closes the connection
        with serving(Answering, tls=tls(certificates, "mine")) as url:
            words = f"{reachable(settings(url.replace('https:', 'http:')))}"
        assert "it may speak https there" in words
    else:
        monkeypatch.setattr(Answering, "status", 400)
        monkeypatch.setattr(Answering, "page", pages[server])
        with serving(Answering) as url:
            words = f"{reachable(settings(url))}"
            with pytest.raises(OrdersError, match="is not http"):
                log_in(settings(url))
        assert "Write https:// in PHPMYADMIN_URL" in words


def test_a_port_where_nobody_listens_is_named(here: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*taken.getsockname())
        [words] = said(f"http://{address}/")
    assert words.startswith(f"{address} cannot be reached: nothing listens at that port. Check the host and the port")


@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example:407/",
        "http://127.0.0.1:40712/",
        "http://reset.example/timeout/",
        "http://e/",
        "https://eof.example:4070/EOF",
    ],
)
def test_an_address_is_not_taken_for_a_reason(address: str) -> None:
    parts = urlsplit(address)
    refused = f"HTTPConnection(host='{parts.hostname}', port={parts.port or 80}): Failed to establish a new connection"
    said = unreachable(
        address, f"Max retries exceeded with url: {parts.path} (Caused by {refused}: Connection refused)"
    )
    assert said.message == f"{parts.netloc} cannot be reached: nothing listens at that port."


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A proxy of the environment that is down."""
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*taken.getsockname())
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://user:secret@{address}")
        yield address


def test_a_message_names_the_proxy_that_was_used(here: Path, proxy: str) -> None:
    words = said("http://127.0.0.1:9/")
    for each in words:
        assert each.startswith(
            f"127.0.0.1:9 cannot be reached through the proxy {proxy} (HTTP_PROXY): the proxy cannot"
        )
        assert "NO_PROXY" in each
        assert "secret" not in each


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(-2, "Name or service not known"), "no host of that name is known here"),
        ("net::ERR_NAME_NOT_RESOLVED", "no host of that name is known here"),
        ("ERR_CONNECTION_REFUSED", "nothing listens at that port"),
        ("ERR_SSL_PROTOCOL_ERROR", "it does not speak https at that port"),
        ("ERR_INVALID_HTTP_RESPONSE", "what it speaks at that port is not http"),
        ("EOF occurred in violation of protocol (_ssl.c:997)", "it does not agree to an https connection"),
        ("ERR_EMPTY_RESPONSE", "it closed the connection without an answer"),
        (TimeoutError(), "it sent nothing for too long"),
        (OSError("some new words"), "the connection failed"),
    ],
)
def test_each_kind_of_failure_has_words_of_its_own(error: Exception | str, reason: str) -> None:
    assert unreachable("http://h:1/", error).message == f"h:1 cannot be reached: {reason}."


def test_chrome_names_a_certificate_in_the_same_words() -> None:
    error = unreachable("https://h/", "ERR_CERT_COMMON_NAME_INVALID")
    assert isinstance(error, CertificateRefused)
    assert error.message == "The certificate of h is not trusted: it is for another host name."


def test_no_words_of_the_driver_reach_a_message() -> None:
    from selenium.common.exceptions import ElementNotInteractableException, WebDriverException

    for error in (ElementNotInteractableException("element not interactable\n  (Session info)"), WebDriverException()):
        with pytest.raises(OrdersError) as caught, failures():
            raise error
        assert "interactable" not in str(caught.value)


@pytest.mark.parametrize(
    ("release", "named"),
    [
        ({"ID": "debian"}, "apt-get"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "google.com"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf"),
        ({"ID": "alpine"}, "apk"),
        ({"ID": "something"}, "Chrome or Chromium"),
    ],
)
def test_advice_fits_the_system(monkeypatch: pytest.MonkeyPatch, release: dict[str, str], named: str) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    assert named in install_advice()


def test_doctor_never_advises_to_run_doctor(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advice = "Check the name. `python -m scraper doctor` lists the tables it sees."
    monkeypatch.setattr(doctor, "_findings", lambda: iter([doctor.Finding("table", False, "No such table.", advice)]))
    assert [finding.advice for finding in doctor.examine()] == ["Check the name."]


def test_doctor_says_where_an_env_file_is_missing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.doctor.env_file", lambda: here / "shop" / ".env")
    assert "Copy " in next(doctor.examine()).advice
    (here / ".env").write_text("")
    assert f"{here / '.env'} is not read" in next(doctor.examine()).advice


def test_doctor_yields_a_finding_before_the_next_check(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.settings.ScraperSettings.load", lambda: 1 / 0)
    findings = doctor.examine()
    assert next(findings).id == "env_file"
    with suppress(ZeroDivisionError):
        next(findings)
