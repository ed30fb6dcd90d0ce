"""What is set from outside about a board's servers: where they listen, what people type, which database is used."""

import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from warehouse.errors import BadInput

SQLITE = "sqlite"
LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8090
POSTGRESQL_PORT = 5432


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A PostgreSQL database that exists and may be filled."""

    user: str
    host: str
    port: int
    name: str
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{self.user}@{host}:{self.port}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardConfig:
    """Settings of `likeness board`, read once."""

    host: str = LOOPBACK
    """`LIKENESS_BOARD_HOST`: the address on which the gateway listens."""
    port: int = DEFAULT_PORT
    """`LIKENESS_BOARD_PORT`; 0: any that is free, the same one as long as it stays free."""
    public_origin: str | None = None
    """`LIKENESS_BOARD_ORIGIN`: what people type where nginx, or another server with a certificate, stands before us."""
    database: Database | None = None
    """`LIKENESS_BOARD_DATABASE`; None: an SQLite file, for one annotator or a trial."""
    environment: Path | None = None
    """`LIKENESS_LABEL_STUDIO`: a Python environment that has Label Studio; None: one of the board's own."""

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "BoardConfig":
        """`BadInput` for what cannot be used."""
        named = environment.get("LIKENESS_LABEL_STUDIO")
        return cls(
            host=_host(environment.get("LIKENESS_BOARD_HOST") or LOOPBACK),
            port=_port(environment.get("LIKENESS_BOARD_PORT") or str(DEFAULT_PORT)),
            public_origin=_origin(environment.get("LIKENESS_BOARD_ORIGIN") or None),
            database=_database(environment),
            environment=Path(named).expanduser().resolve() if named else None,
        )

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def is_secure(self) -> bool:
        """Whether people come by https."""
        return self.public_origin is not None and self.public_origin.startswith("https://")

    @property
    def gateway_address(self) -> str:
        """Where the gateway is reached from this machine."""
        if ipaddress.ip_address(self.host).is_unspecified:
            return LOOPBACK if ":" not in self.host else "::1"
        return self.host

    def origin(self, port: int) -> str:
        """What annotators type, when the gateway listens on this port."""
        if self.public_origin is not None:
            return self.public_origin
        is_any = ipaddress.ip_address(self.host).is_unspecified
        return f"http://{authority(socket.gethostname() if is_any else self.host, port)}"

    def warnings(self) -> list[str]:
        """What is allowed and unwise."""
        found = []
        if not self.is_loopback and not self.is_secure:
            found.append(
                f"LIKENESS_BOARD_HOST={self.host}: others reach this board without TLS, and their passwords can be "
                "read on the way; put nginx before it (`likeness board nginx`) and set LIKENESS_BOARD_ORIGIN=https://..."
            )
        return found


def authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _host(text: str) -> str:
    try:
        return str(ipaddress.ip_address(LOOPBACK if text == "localhost" else text))
    except ValueError as error:
        raise BadInput(f"LIKENESS_BOARD_HOST={text}: give an address of this machine, as 127.0.0.1") from error


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise BadInput(f"LIKENESS_BOARD_PORT={text}: a number from 0 to 65535 is needed")
    return int(text)


def _origin(text: str | None) -> str | None:
    if text is None:
        return None
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise BadInput(f"LIKENESS_BOARD_ORIGIN={_masked(text)}: give it as https://vote.example.org, without a path")
    if parts.username is not None:
        raise BadInput("LIKENESS_BOARD_ORIGIN: holds a user or password; give it as https://vote.example.org")
    return f"{parts.scheme}://{parts.netloc}"


def _database(environment: Mapping[str, str]) -> Database | None:
    text = environment.get("LIKENESS_BOARD_DATABASE") or SQLITE
    if text == SQLITE:
        return None
    form = "`sqlite` or `postgresql://user@host:port/name`"
    try:
        parts = urlsplit(text)
        port = parts.port or POSTGRESQL_PORT
    except ValueError as error:
        raise BadInput(f"LIKENESS_BOARD_DATABASE={_masked(text)}: no URL ({error}); give {form}") from error
    if parts.password is not None:
        raise BadInput(
            "LIKENESS_BOARD_DATABASE holds a password, which process lists and logs would show; leave it out, and set "
            "LIKENESS_BOARD_DATABASE_PASSWORD or PGPASSWORD"
        )
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgresql", "postgres") or not parts.username or not parts.hostname or not name:
        raise BadInput(f"LIKENESS_BOARD_DATABASE={_masked(text)}: give {form}")
    password = environment.get("LIKENESS_BOARD_DATABASE_PASSWORD") or environment.get("PGPASSWORD") or ""
    return Database(user=unquote(parts.username), host=parts.hostname, port=port, name=name, password=password)


def _masked(url: str) -> str:
    """Without what may be a password."""
    before, at, after = url.rpartition("@")
    scheme, slashes, _ = before.partition("://")
    return f"{scheme}{slashes}***@{after}" if at else url
