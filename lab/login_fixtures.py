"""Login fixtures: the kinds of login that a phpMyAdmin is found behind, on real servers, over the lab's one database.

cookie           the login form, as in the lab itself
http             `auth_type=http`: the browser's own password dialog, checked by the database
config           `auth_type=config`: no login at all, the account stands in phpMyAdmin's configuration
servers          two servers to choose from and no default; the second is the right one
any_server       a field for the server on the login form; the one of the configuration is down
no_password      an account without a password
servers_default  the same, with the wrong one as the default
totp             a second factor after the password: a code of an authenticator app (one such fixture at a time)
subpath          at /tools/phpmyadmin/ behind nginx, which asks for a password of its own (HTTP Basic)
tls              https by nginx, with a certificate of a private CA
german           the login page, and all else, in German
captcha          a login form that wants a captcha solved; nobody can here, and nothing leaves the machine
short_session    a login that ends after `seconds` (3) without a request
control_panel    a control panel with its own login (and a code: `totp=True`), a link, and `auth_type=signon` behind
firewall         nginx answers `status` (403) and `page` to each form that holds one of the texts in `refuse`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from lab import nginx, storage
from lab.control_panel import ControlPanel, ControlPanelLogin, gate
from lab.nginx import Nginx
from lab.servers import LabError, MariaDB, PhpMyAdmin, Server, free_port, install

if TYPE_CHECKING:
    import pymysql

TOTP_LIBRARY = Path(__file__).with_name("php") / "google2fa.php"
CHALLENGE = "<!doctype html><title>Just a moment...</title><h1>Checking your browser</h1><p>Request blocked.</p>"


@dataclass(frozen=True)
class Site:
    """Where a fixture is built."""

    folder: Path
    """Of this fixture alone; phpMyAdmin keeps its configuration and sessions there too."""
    port: int
    """phpMyAdmin's own."""
    database: MariaDB
    username: str
    password: str
    connect: Callable[[], pymysql.Connection[Any]]


@dataclass(frozen=True)
class Design:
    """How a fixture differs from the lab's own login."""

    url: str = ""
    """Where it is reached, when not at phpMyAdmin's own port."""
    config: Mapping[str, object] = field(default_factory=dict)
    includes: Sequence[Path] = ()
    before: Sequence[Server] = ()
    """The servers in front of phpMyAdmin."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The product's settings that differ from those of the lab's own login; an empty one is left out."""
    control_panel: ControlPanelLogin | None = None


@dataclass(frozen=True)
class LoginFixture:
    """Running servers with one kind of login. Close it after use, or use it as a context manager."""

    phpmyadmin: PhpMyAdmin
    design: Design
    login: Mapping[str, str]
    close: Callable[[], None]
    """Ends the servers and deletes their files; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address that a user would paste; that of a control panel leads to its login form."""
        return self.design.url or self.phpmyadmin.url

    @property
    def control_panel(self) -> ControlPanelLogin | None:
        """The login of a control panel in front."""
        return self.design.control_panel

    def servers(self) -> Iterator[Server]:
        """The servers, in the order in which they start."""
        yield self.phpmyadmin
        yield from self.design.before

    def settings(self) -> dict[str, str]:
        """The product's settings for this login, by their names in the environment."""
        settings = {**self.login, "PHPMYADMIN_URL": self.url, **self.design.settings}
        return {name: value for name, value in settings.items() if value}

    def expire_sessions(self) -> None:
        """End every login as a web host's clean-up does: the session files are gone, the cookies remain."""
        for file in self.phpmyadmin.sessions.iterdir():
            file.unlink(missing_ok=True)


def design(name: str, site: Site, **options: Any) -> Design:
    """The design of the fixture with this name.

    Raises:
        LabError: there is no such fixture, or a package that it needs is missing and may not be installed.
    """
    if name not in _FIXTURES:
        raise LabError(f"The lab has no login fixture {name!r}. There are: {', '.join(_FIXTURES)}.")
    return _FIXTURES[name](site, **options)


def _cookie(_: Site) -> Design:
    return Design()


def _http(_: Site) -> Design:
    return Design(config=_server(auth_type="http"))


def _config(site: Site) -> Design:
    return Design(config=_server(auth_type="config", user=site.username, password=site.password))


def _servers(site: Site, default: int = 0) -> Design:
    right = {"verbose": "Shop", "auth_type": "cookie", "host": "127.0.0.1", "port": str(site.database.port)}
    wrong = {"verbose": "Old shop", "host": "localhost", "socket": str(site.database.socket)}  # no such account there
    config = {"ServerDefault": default, "Servers": {"1": wrong, "2": right}}
    return Design(config=config, settings={"PHPMYADMIN_SERVER": "2"})


def _servers_default(site: Site) -> Design:
    return _servers(site, default=1)


def _any_server(site: Site) -> Design:
    down = {"host": "127.0.0.1", "port": "1"}
    config = {"AllowArbitraryServer": True, "Servers": {"1": {"auth_type": "cookie", **down}}}
    return Design(config=config, settings={"PHPMYADMIN_SERVER": f"127.0.0.1:{site.database.port}"})


def _no_password(site: Site) -> Design:
    with site.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER IF NOT EXISTS guest@'127.0.0.1' IDENTIFIED BY ''")
        cursor.execute("GRANT SELECT ON shop.* TO guest@'127.0.0.1'")
    return Design(
        config=_server(AllowNoPassword="1"), settings={"PHPMYADMIN_USERNAME": "guest", "PHPMYADMIN_PASSWORD": ""}
    )


def _totp(site: Site) -> Design:
    with site.connect() as connection:
        config = _server(**storage.set_up(connection))
        secret = storage.ask_for_codes(connection, site.username)
    return Design(config=config, includes=(TOTP_LIBRARY,), settings={"PHPMYADMIN_TOTP_SECRET": secret})


def _subpath(site: Site) -> Design:
    install(*nginx.PACKAGES)
    port, password = free_port(), token_urlsafe(12)
    url = f"http://127.0.0.1:{port}/tools/phpmyadmin/"
    asks = ('auth_basic "Tools";', "auth_basic_user_file users;")
    front = nginx.server(port, nginx.proxied("/tools/phpmyadmin/", f"http://127.0.0.1:{site.port}/", *asks))
    return Design(
        url=url,
        config={"PmaAbsoluteUri": url},
        before=[Nginx(site.folder, port, front, {"users": nginx.password_file("web", password)})],
        settings={"PHPMYADMIN_HTTP_USERNAME": "web", "PHPMYADMIN_HTTP_PASSWORD": password},
    )


def _tls(site: Site) -> Design:
    install(*nginx.PACKAGES)
    port = free_port()
    nginx.certificates(site.folder)
    says = "proxy_set_header X-Forwarded-Proto https;"
    front = nginx.server(port, nginx.proxied("/", f"http://127.0.0.1:{site.port}", says), tls=True)
    return Design(
        url=f"https://127.0.0.1:{port}/",
        before=[Nginx(site.folder, port, front)],
        settings={"PHPMYADMIN_CA_FILE": str(site.folder / "ca.pem")},
    )


def _german(_: Site) -> Design:
    return Design(config={"Lang": "de"})


def _captcha(site: Site) -> Design:
    here = f"http://127.0.0.1:{site.port}/"
    return Design(
        config={
            "CaptchaMethod": "checkbox",
            "CaptchaApi": f"{here}captcha.js",  # there is none: the box stays empty
            "CaptchaCsp": here,
            "CaptchaSiteVerifyURL": f"{here}captcha",
            "CaptchaLoginPublicKey": "public",
            "CaptchaLoginPrivateKey": "private",
        }
    )


def _short_session(_: Site, seconds: int = 3) -> Design:
    return Design(config={"LoginCookieValidity": seconds})


def _control_panel(site: Site, totp: bool = False) -> Design:
    install(*nginx.PACKAGES)
    port, behind = free_port(), free_port()
    url = f"http://127.0.0.1:{port}/login/"
    login = ControlPanelLogin(url, site.username, site.password, storage.new_secret() if totp else "")
    return Design(
        url=url,
        config=_server(auth_type="signon", SignonSession="SignonSession", SignonURL=url),
        before=[
            ControlPanel(site.folder, behind, site.folder / "sessions", login),
            Nginx(site.folder, port, gate(port, behind, site.port)),
        ],
        settings={
            "PHPMYADMIN_PORTAL_URL": url,
            "PHPMYADMIN_PORTAL_USERNAME": login.username,
            "PHPMYADMIN_PORTAL_PASSWORD": login.password,
            "PHPMYADMIN_PORTAL_TOTP_SECRET": login.totp_secret,
            "PHPMYADMIN_PORTAL_CODE_FIELD": login.code_field,
            **dict.fromkeys(("PHPMYADMIN_URL", "PHPMYADMIN_USERNAME", "PHPMYADMIN_PASSWORD"), ""),
        },
        control_panel=login,
    )


def _firewall(site: Site, refuse: Sequence[str], status: int = 403, page: str = CHALLENGE) -> Design:
    install(*nginx.PACKAGES)
    port = free_port()
    front = nginx.firewall(port, free_port(), f"http://127.0.0.1:{site.port}", refuse, status, page)
    return Design(url=f"http://127.0.0.1:{port}/", before=[Nginx(site.folder, port, front)])


def _server(**config: str) -> dict[str, object]:
    return {"Servers": {"1": config}}


_FIXTURES: dict[str, Callable[..., Design]] = {
    "cookie": _cookie,
    "http": _http,
    "config": _config,
    "servers": _servers,
    "servers_default": _servers_default,
    "any_server": _any_server,
    "no_password": _no_password,
    "totp": _totp,
    "subpath": _subpath,
    "tls": _tls,
    "german": _german,
    "captcha": _captcha,
    "short_session": _short_session,
    "control_panel": _control_panel,
    "firewall": _firewall,
}
