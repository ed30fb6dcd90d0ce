"""A configuration of nginx that stands before the gateway, for a team. What it may serve, the gateway says."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from annotate.gateway import media
from annotate.gateway.front import PLAYER_HEADERS
from annotate.home import BoardHome
from annotate.hosting.configuration import BoardConfig, authority
from annotate.hosting.up import Place
from warehouse.errors import BadInput

TEMPLATE = Path(__file__).parent / "nginx.conf"
CERTIFICATES = "/etc/letsencrypt/live"
STRICT_S = 180 * 24 * 3600
_PLACEHOLDER = re.compile(r"@([A-Z_]+)@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where nginx listens. Without a certificate it speaks plain HTTP: for tests, or behind something that has one."""

    port: int
    name: str = "_"
    """Host name that people type; `_`: any."""
    address: str = ""
    """Of this machine; empty: all."""
    certificate: str | None = None
    key: str | None = None


def for_board(home: BoardHome, config: BoardConfig, *, certificate: str | None, key: str | None, is_whole: bool) -> str:
    """The configuration for a board that was started once. `BadInput` without LIKENESS_BOARD_ORIGIN."""
    if config.public_origin is None:
        raise BadInput(
            "set LIKENESS_BOARD_ORIGIN to what people will type, as https://vote.example.org, for `board up` too"
        )
    home.connection()
    parts = urlsplit(config.public_origin)
    name = parts.hostname or ""
    listener = Listener(port=parts.port or (443 if config.is_secure else 80), name=name)
    if config.is_secure:
        folder = f"{CERTIFICATES}/{name}"
        certificate, key = certificate or f"{folder}/fullchain.pem", key or f"{folder}/privkey.pem"
        listener = Listener(port=listener.port, name=name, certificate=certificate, key=key)
    text = configuration(home, gateway=Place.of(home).gateway, listener=listener)
    return whole(text, folder=home.root / "nginx") if is_whole else text


def configuration(home: BoardHome, *, gateway: str, listener: Listener) -> str:
    """What goes into `http { }`. `gateway`: its URL as seen from nginx's machine."""
    strict = {"strict-transport-security": f"max-age={STRICT_S}"} if listener.certificate else {}
    values = {
        "GATEWAY": urlsplit(gateway).netloc,
        "LISTEN": _listen(listener),
        "STRICT": _headers(strict, indent=4),
        "NAME": media.NAME.pattern.replace("(", "(?:"),
        "MEDIA": _quotable(home.media.resolve()),
        "PAGES": _quotable(Path(str(files("annotate.gateway.pages")))),
        "MEDIA_TYPES": " ".join(f"{kind} {suffix};" for suffix, kind in sorted(media.TYPES.items())),
        "MEDIA_HEADERS": _headers({**media.HEADERS, **strict}, indent=8),
        "PAGE_HEADERS": _headers({**PLAYER_HEADERS, **strict}, indent=8),
        "REDIRECT": _redirect(listener),
    }
    return _PLACEHOLDER.sub(lambda found: values[found[1]], TEMPLATE.read_text(encoding="utf-8"))


def whole(text: str, *, folder: Path) -> str:
    """A complete configuration, for an nginx that only serves the board: `nginx -c FILE`, by the user who owns the
    board. Its own files lie in `folder`, which must exist."""
    here = _quotable(folder)
    own = [f"{name}_temp_path {here}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    lines = [
        *(["user root;"] if os.getuid() == 0 else []),
        f"pid {here}/nginx.pid;",
        f"error_log {here}/error.log warn;",
        "worker_processes auto;",
        "events { worker_connections 1024; }",
        "http {",
        *(f"    {line}" for line in ("access_log off;", *own)),
        text,
        "}",
    ]
    return "\n".join(lines) + "\n"


def _listen(listener: Listener) -> str:
    where = authority(listener.address, listener.port) if listener.address else str(listener.port)
    if listener.certificate is None:
        return f"    listen {where};\n    server_name {listener.name};"
    lines = [
        f"listen {where} ssl;",
        f"server_name {listener.name};",
        f"ssl_certificate {listener.certificate};",
        f"ssl_certificate_key {listener.key};",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "ssl_session_cache shared:likeness_tls:2m;",
    ]
    return "\n".join(f"    {line}" for line in lines)


def _redirect(listener: Listener) -> str:
    """Those who type the name without https are sent there; only where the usual ports are used."""
    if listener.certificate is None or listener.port != 443:
        return ""
    return f"""
server {{
    listen 80;
    server_name {listener.name};
    return 301 https://$host$request_uri;
}}"""


def _headers(headers: Mapping[str, str], *, indent: int) -> str:
    return "\n".join(f'{" " * indent}add_header {name} "{value}" always;' for name, value in headers.items())


def _quotable(path: Path) -> str:
    """`BadInput` for a path that nginx would read as something else."""
    if not re.fullmatch(r"[A-Za-z0-9_./+@,=-]+", str(path)):
        raise BadInput(f"{path}: nginx cannot be given a path with blanks or signs; move LIKENESS_HOME")
    return str(path)
