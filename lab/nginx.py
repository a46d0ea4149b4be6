"""nginx in front of a phpMyAdmin: under a path, behind a password, with TLS, or as a firewall."""

import base64
import hashlib
import re
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_plus

from lab.processes import give
from lab.servers import LabError, write

PACKAGES = ("nginx-light", "openssl")


@dataclass(frozen=True)
class Nginx:
    """Debian's nginx with a configuration, logs and temporary files of its own, all in `folder`."""

    folder: Path
    port: int
    servers: str
    """The `server` blocks, and what else stands in `http`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files beside the configuration, by name, that only nginx may read."""

    name = "nginx"

    @property
    def log(self) -> Path:
        return self.folder / "nginx.log"

    def prepare(self) -> None:
        (self.folder / "nginx").mkdir(exist_ok=True)
        give(self.folder / "nginx", 0o700)
        for name, text in self.files.items():
            write(self.folder / name, text)
        write(self.folder / "nginx.conf", _FRAME % self.servers)

    def command(self) -> list[str]:
        return ["nginx", "-p", str(self.folder), "-e", "stderr", "-c", "nginx.conf"]

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.folder)}

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2):
                return True
        except OSError:
            return False


def proxied(location: str, target: str, *directives: str) -> str:
    """A location that passes requests on, streamed, to `target`."""
    return f"location {location} {{ {' '.join(directives)} {_ONWARD} proxy_pass {target}; }}"


def server(port: int, *content: str, tls: bool = False) -> str:
    """A server block on loopback; with `tls` its key and certificate are `server.key` and `server.pem`."""
    ssl = "ssl_certificate server.pem; ssl_certificate_key server.key;" if tls else ""
    return f"server {{ listen 127.0.0.1:{port}{' ssl' * tls}; {ssl} {' '.join(content)} }}"


def password_file(user: str, password: str) -> str:
    """The text of a file for `auth_basic_user_file`."""
    digest = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()
    return f"{user}:{{SHA}}{digest}\n"


def firewall(port: int, gate: int, target: str, refuse: Sequence[str], status: int, page: str) -> str:
    """Servers that answer `status` and `page` to each form whose body holds one of the texts, in any case.

    nginx knows the body only once it passes a request on. So the server at `port` passes all requests to one at
    `gate`, with a header that says what the body holds, and that one refuses.
    """
    marks = " ".join(f'"~*{re.escape(quote_plus(text))}" 1;' for text in refuse)
    refusal = f"if ($http_x_refused) {{ return {status} '{page}'; }}"
    return "\n".join(
        (
            f"map $request_body $refused {{ default ''; {marks} }}",
            "client_body_in_single_buffer on;",
            server(port, proxied("/", f"http://127.0.0.1:{gate}", "proxy_set_header X-Refused $refused;")),
            server(gate, "default_type text/html;", refusal, proxied("/", target)),
        )
    )


def certificates(folder: Path, name: str = "127.0.0.1") -> None:
    """Make a private CA (`ca.pem`) and a server's certificate by it for an IP address (`server.pem`, `server.key`).

    Raises:
        LabError: openssl failed.
    """
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    request += ["-days", "30", "-config", "/dev/null"]
    for step in (
        [
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-subj",
            "/CN=Lab CA",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ],
        [
            "-keyout",
            "server.key",
            "-out",
            "server.pem",
            "-subj",
            f"/CN={name}",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-addext",
            f"subjectAltName=IP:{name}",
            "-addext",
            "basicConstraints=CA:FALSE",
            "-addext",
            "extendedKeyUsage=serverAuth",
        ],
    ):
        done = subprocess.run([*request, *step], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"openssl failed to make a certificate: {done.stderr.strip()[-800:]}")
    give(folder / "server.key", 0o600)
    give(folder / "server.pem", 0o600)
    (folder / "ca.key").unlink()


_FRAME = """daemon off;
worker_processes 1;
pid nginx/pid;
error_log stderr;
events { worker_connections 128; }
http {
access_log off;
client_body_temp_path nginx/body;
proxy_temp_path nginx/proxy;
fastcgi_temp_path nginx/fastcgi;
uwsgi_temp_path nginx/uwsgi;
scgi_temp_path nginx/scgi;
client_max_body_size 64m;
client_body_buffer_size 16m;
%s
}
"""

_ONWARD = "proxy_buffering off; proxy_read_timeout 600s; proxy_set_header Host $http_host;"
