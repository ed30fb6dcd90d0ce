"""How Label Studio is run: with an environment of its own making and nothing of ours, on loopback, telling nobody.

What each setting is for stands in LABELSTUDIO.md. Its data folder holds `.env` with the key that signs sessions and
tokens: back that file up with the database.
"""

import contextlib
import hashlib
import ipaddress
import json
import sqlite3
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from annotate.errors import BoardRefused
from annotate.hosting import install
from annotate.hosting.configuration import LOOPBACK, BoardConfig, authority
from annotate.hosting.install import Tell
from annotate.hosting.processes import Server

OPERATOR = "operator@likeness.local"
VERSION_FILE = ".likeness-version"
"""In the data folder: the version of Label Studio whose tables the database has."""
FIRST_START_TIMEOUT_S = 1800.0
START_TIMEOUT_S = 180.0
TASK_LOCK_S = 1800
SECRETS = frozenset({"POSTGRE_PASSWORD", "LABEL_STUDIO_PASSWORD", "LABEL_STUDIO_USERNAME"})

BANNED = Path(__file__).parent / "banned.txt"
"""The addresses that Label Studio by itself refuses to call."""


SET_PASSWORD = """
import os, django
django.setup()
from users.models import User
user = User.objects.get(email=os.environ["LIKENESS_EMAIL"])
user.set_password(os.environ["LIKENESS_PASSWORD"])
user.save(update_fields=["password"])
"""
TABLES = """
import os, psycopg
from psycopg import sql
place = {name: os.environ["POSTGRE_" + name.upper()] for name in ("host", "port", "user", "password")}
with psycopg.connect(dbname=os.environ["POSTGRE_NAME"], autocommit=True, **place) as database:
    find = "select tablename from pg_tables where schemaname = 'public'"
    if os.environ["LIKENESS_DROP"]:
        for (name,) in database.execute(find).fetchall():
            database.execute(sql.SQL("drop table if exists {} cascade").format(sql.Identifier(name)))
    print(len(database.execute(find).fetchall()))
"""
KEEP_ALIVE_S = 75
"""Longer than the gateway keeps an idle connection: else it sends a vote into one that has just been closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelStudio:
    """A Label Studio that can be started: its environment, its data, its settings."""

    environment: Path
    data: Path
    config: BoardConfig
    origin: str
    port: int
    server: Server

    @property
    def url(self) -> str:
        return f"http://{authority(LOOPBACK, self.port)}"

    @property
    def health(self) -> str:
        return f"{self.url}/health"

    def command(self) -> list[str]:
        """gunicorn; SQLite takes one writer at a time, so it gets one process of few threads."""
        num_workers = 1 if self.config.database is None else 4
        return [
            *(str(install.python(self.environment)), "-m", "gunicorn", "label_studio.core.wsgi:application"),
            *("--chdir", str(install.package(self.environment)), "--bind", authority(LOOPBACK, self.port)),
            *("--worker-class", "gthread", "--workers", str(num_workers), "--threads", "4", "--timeout", "120"),
            *("--graceful-timeout", "10", "--no-control-socket", "--log-level", "warning"),
            *("--keep-alive", str(KEEP_ALIVE_S)),
        ]

    def settings(self) -> Mapping[str, str]:
        """The whole environment of its process."""
        return hardened(self.config, data=self.data, environment=self.environment, origin=self.origin)

    def fingerprint(self) -> str:
        """Of everything that a restart would change; of secrets only that they are there."""
        open_settings = {name: value for name, value in self.settings().items() if name not in SECRETS}
        told = json.dumps([self.command(), open_settings, install.VERSION], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def start(self, tell: Tell) -> None:
        """Have it run as it should: nothing is done where it does already."""
        if not self.server.is_as(self.fingerprint()):
            self.server.stop()
            tell(f"starting Label Studio at {self.url}")
            self.server.start(self.command(), self.settings(), fingerprint=self.fingerprint())
        self.server.wait_for(self.health, timeout_s=START_TIMEOUT_S)

    def make(self, password: str, tell: Tell) -> None:
        """Make its tables and the operator's account, if they are missing or of another version. A first time that was
        broken off is thrown away and begun again: Label Studio cannot go on with half of an index. `BoardRefused` where
        a PostgreSQL database holds tables that are not ours."""
        if _version(self.data) == install.VERSION:
            return
        tell("making Label Studio's tables: about 40 s, once")
        self.server.stop()
        making = self.data.with_name(self.data.name + ".making")
        folder = self.data if self.data.exists() else making
        if folder is making and self.config.database is not None:
            self._empty_database(is_ours=making.exists())
        _keep_only_key(making)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        maker = Server(self.server.folder, "label_studio_make")
        account = {"LABEL_STUDIO_USERNAME": OPERATOR, "LABEL_STUDIO_PASSWORD": password}
        settings = hardened(self.config, data=folder, environment=self.environment, origin=self.origin) | account
        command = [str(self.environment / "bin" / "label-studio"), "init", "--quiet"]
        maker.run(command, settings, timeout_s=FIRST_START_TIMEOUT_S)
        if self.config.database is None:
            _let_read_while_written(folder / "label_studio.sqlite3")
        (folder / VERSION_FILE).write_text(install.VERSION, encoding="utf-8")
        if folder is making:
            making.rename(self.data)

    def set_password(self, email: str, password: str) -> None:
        """Give an account another password and end its sessions. Label Studio has no call for it, so this goes to its
        tables. `BoardRefused` where nobody has this e-mail."""
        account = {"LIKENESS_EMAIL": email, "LIKENESS_PASSWORD": password}
        self._run(SET_PASSWORD, account, f"{email}: its password was not changed")

    def _empty_database(self, *, is_ours: bool) -> None:
        """Drop what a making left that was broken off (`is_ours`); anything else in the database is somebody's."""
        database = self.config.database
        found = self._run(TABLES, {"LIKENESS_DROP": "yes" if is_ours else ""}, f"{database}: cannot be used")
        if int(found):
            raise BoardRefused(f"{database}: holds {int(found)} tables already; give the board an empty database")

    def _run(self, code: str, settings: Mapping[str, str], failed: str) -> str:
        """What a small program prints that runs among Label Studio's packages. `BoardRefused`, with its last words."""
        done = subprocess.run(
            [str(install.python(self.environment)), "-W", "ignore", "-c", code],
            cwd=install.package(self.environment),
            env={**self.settings(), **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            found = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise BoardRefused(f"{failed} ({found}); see `likeness board status`")
        return done.stdout


def hardened(config: BoardConfig, *, data: Path, environment: Path, origin: str) -> dict[str, str]:
    """Every variable that Label Studio sees. Secrets go this way and no other: not by argument, not by file."""
    return {
        "HOME": str(data),
        "PATH": f"{environment / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "core.settings.label_studio",
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "false",
        "LABEL_STUDIO_ENABLE_LOCAL_FILES_STORAGE": "false",
        "DEBUG": "false",
        "LOG_LEVEL": "WARNING",
        "TASK_LOCK_TTL": str(TASK_LOCK_S),
        **_telling_nobody(),
        **_on_one_origin(config, origin),
        **_calling_only(config.gateway_address),
        **_database(config),
    }


def _telling_nobody() -> dict[str, str]:
    return {
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "FEATURE_FLAGS_OFFLINE": "true",
    }


def _on_one_origin(config: BoardConfig, origin: str) -> dict[str, str]:
    parts = urlsplit(origin)
    origins = [origin]
    if config.is_loopback and config.public_origin is None:
        origins += [f"http://{authority(name, parts.port or 80)}" for name in ("localhost", LOOPBACK)]
    is_any = ipaddress.ip_address(config.host).is_unspecified
    hosts = ["*"] if is_any else sorted({parts.hostname or LOOPBACK, config.host, LOOPBACK, "localhost"})
    return {
        "CORS_ALLOWED_ORIGINS": ",".join(dict.fromkeys(origins)),
        "CSRF_TRUSTED_ORIGINS": ",".join(dict.fromkeys(origins)),
        "ALLOWED_HOSTS": ",".join(hosts),
        "SESSION_COOKIE_SECURE": "1" if config.is_secure else "0",
        "CSRF_COOKIE_HTTPONLY": "0",
    }


def _calling_only(address: str) -> dict[str, str]:
    """The guard against calls to inner addresses, with a hole of one address: the gateway's, for the webhook."""
    hole = ipaddress.ip_network(address)
    banned: list[str] = []
    for each in (ipaddress.ip_network(line) for line in BANNED.read_text().splitlines() if not line.startswith("#")):
        if each.version == hole.version and hole.subnet_of(each):  # type: ignore[arg-type]
            banned += [str(part) for part in each.address_exclude(hole)]  # type: ignore[arg-type]
        else:
            banned.append(str(each))
    return {
        "SSRF_PROTECTION_ENABLED": "true",
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "USER_ADDITIONAL_BANNED_SUBNETS": ",".join(banned),
    }


def _database(config: BoardConfig) -> dict[str, str]:
    if config.database is None:
        return {"DJANGO_DB": "sqlite"}
    return {
        "DJANGO_DB": "postgresql",
        "POSTGRE_HOST": config.database.host,
        "POSTGRE_PORT": str(config.database.port),
        "POSTGRE_NAME": config.database.name,
        "POSTGRE_USER": config.database.user,
        "POSTGRE_PASSWORD": config.database.password,
    }


def _version(data: Path) -> str | None:
    try:
        return (data / VERSION_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def _let_read_while_written(database: Path) -> None:
    """SQLite's write-ahead log, which the file remembers: readers no longer wait for a writer."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma journal_mode = wal")


def _keep_only_key(making: Path) -> None:
    """Throw away a database that was broken off while it was made. It never held a vote."""
    for database in making.glob("label_studio.sqlite3*"):
        database.unlink()
