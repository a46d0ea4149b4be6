"""A web host's control panel in front of phpMyAdmin; `php/control_panel.php` says how it works."""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from secrets import token_urlsafe

import httpx2

from lab.nginx import proxied, server
from lab.processes import give

_PHP = Path(__file__).with_name("php")


@dataclass(frozen=True)
class ControlPanelLogin:
    """The panel's own login, and the names that its pages use."""

    url: str
    database_username: str
    database_password: str = field(repr=False)
    totp_secret: str = field(default="", repr=False)
    """When not empty, a second page asks for a code."""
    username: str = "shopowner"
    password: str = field(default_factory=lambda: token_urlsafe(12), repr=False)
    username_field: str = "user"
    password_field: str = "pass"  # noqa: S105  a name, not a password
    code_field: str = "code"
    link: str = "a#item_php_my_admin"
    """CSS selector of the link to phpMyAdmin on the page after the login."""


@dataclass(frozen=True)
class ControlPanel:
    """The panel's pages, served by PHP's own web server."""

    folder: Path
    port: int
    sessions: Path
    """The sessions of phpMyAdmin, in which the panel leaves the database's login."""
    login: ControlPanelLogin

    name = "the control panel"

    @property
    def log(self) -> Path:
        return self.folder / "control_panel.log"

    def prepare(self) -> None:
        for name in ("control_panel.php", "google2fa.php"):
            shutil.copyfile(_PHP / name, self.folder / name)
            give(self.folder / name, 0o600)

    def command(self) -> list[str]:
        return [
            "php",
            "-d",
            f"session.save_path={self.sessions}",
            "-S",
            f"127.0.0.1:{self.port}",
            str(self.folder / "control_panel.php"),
        ]

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "PHP_CLI_SERVER_WORKERS": "2",
            "LAB_CONTROL_PANEL": json.dumps(asdict(self.login)),
        }

    def answers(self) -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}/login/", timeout=20, trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False


def gate(port: int, panel_port: int, phpmyadmin_port: int) -> str:
    """nginx's server for both: phpMyAdmin is below the path of the panel's session, and only for its cookie."""
    panel = f"http://127.0.0.1:{panel_port}"
    below = r"^/cpsess\d+/3rdparty/phpMyAdmin/"
    ask = (
        "internal;",
        "proxy_pass_request_body off;",
        'proxy_set_header Content-Length "";',
        "proxy_set_header X-Original-URI $request_uri;",
    )
    inside = ("auth_request /check;", "error_page 401 = @login;", f"rewrite {below}(.*)$ /$1 break;")
    return server(
        port,
        proxied("/", panel),
        proxied("= /check", panel, *ask),
        "location @login { return 303 /login/; }",
        proxied(f"~ {below}", f"http://127.0.0.1:{phpmyadmin_port}", *inside),
    )
