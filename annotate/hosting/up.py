"""`likeness board up`: from nothing to an address that people can type, and again from any state that a kill left.

Each step looks first whether it is done: so twice is once, and what was killed is gone on with.
"""

import fcntl
import hashlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from annotate import labelstudio_setup
from annotate.errors import BoardDown, BoardRefused
from annotate.home import ENVIRONMENT, BoardHome, Connection, Secrets
from annotate.hosting import install
from annotate.hosting.configuration import LOOPBACK, SQLITE, BoardConfig, authority
from annotate.hosting.install import Tell
from annotate.hosting.label_studio import OPERATOR, LabelStudio
from annotate.hosting.processes import Server
from warehouse import files

GATEWAY_TIMEOUT_S = 120.0
HEALTH = "/likeness/health"
PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "PYTHONPATH", "TMPDIR", "SSL_CERT_FILE")
"""What the gateway sees of our environment, beside `LIKENESS_...`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a board's servers were put; kept, so that a restart finds the same ports."""

    label_studio_port: int = 0
    gateway_address: str = LOOPBACK
    """Where this machine reaches the gateway."""
    gateway_port: int = 0
    database: str = SQLITE
    """What it was made in: `sqlite`, or the PostgreSQL URL."""

    @classmethod
    def of(cls, home: BoardHome) -> "Place":
        try:
            return cls(**json.loads((home.root / "place.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls()

    @property
    def gateway(self) -> str:
        return f"http://{authority(self.gateway_address, self.gateway_port)}"

    def keep(self, home: BoardHome) -> None:
        files.write(home.root / "place.json", json.dumps(asdict(self), indent=1).encode(), mode=0o600)


def up(home: BoardHome, config: BoardConfig, tell: Tell) -> Connection:
    """Have the whole board run, and say where. `tell` is given a line for whatever takes long."""
    for warning in config.warnings():
        tell(f"warning: {warning}")
    with alone(home, tell):
        environment = install.ensure(
            config.environment or home.root / "env", is_ours=config.environment is None, tell=tell
        )
        home.media.mkdir(exist_ok=True, mode=0o755)
        kept = _with_password(home)
        place = _placed(home, config)
        studio = label_studio(home, config, place, environment)
        studio.make(kept.operator_password, tell)
        studio.start(tell)
        connection = _bootstrapped(home, place, studio)
        _start_gateway(home, config, place, connection, tell)
    return connection


def down(home: BoardHome, tell: Tell) -> bool:
    """End whatever runs of it; everything stays on disk. False: nothing ran."""
    with alone(home, tell):
        stopped = [server(home, name).stop() for name in ("gateway", "label_studio", "label_studio_make")]
        return any(stopped)


def server(home: BoardHome, name: str) -> Server:
    return Server(home.root / "run", name)


def label_studio(home: BoardHome, config: BoardConfig, place: Place, environment: Path) -> LabelStudio:
    return LabelStudio(
        environment=environment,
        data=home.root / "label_studio",
        config=config,
        origin=config.origin(place.gateway_port),
        port=place.label_studio_port,
        server=server(home, "label_studio"),
    )


@contextmanager
def alone(home: BoardHome, tell: Tell) -> Iterator[None]:
    """One command at a time changes what runs; the lock goes with the process, however it ends."""
    home.root.mkdir(parents=True, exist_ok=True, mode=0o711)  # nginx passes through, to the media
    lock = os.open(home.root / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another `likeness board` command is at work here; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _with_password(home: BoardHome) -> Secrets:
    """The secrets; the operator's password is drawn and kept before anybody is told it."""
    found = home.secrets()
    if not found.operator_password:
        kept = replace(home.secrets({}), operator_password=secrets.token_urlsafe(24))
        home.keep_secrets(kept)
    return home.secrets()


def _placed(home: BoardHome, config: BoardConfig) -> Place:
    """The ports, as they were as long as they can be, and the database, which must be the one it was made in."""
    place, database = Place.of(home), str(config.database or SQLITE)
    if (home.root / "label_studio").exists() and place.database != database:
        raise BoardRefused(
            f"{home.root}: this board lives in {place.database}, and LIKENESS_BOARD_DATABASE says {database}; set it "
            "back, or start another board in another LIKENESS_HOME"
        )
    place = replace(
        place,
        label_studio_port=_port(server(home, "label_studio"), LOOPBACK, place.label_studio_port),
        gateway_address=config.gateway_address,
        gateway_port=config.port or _port(server(home, "gateway"), config.host, place.gateway_port),
        database=database,
    )
    place.keep(home)
    return place


def _port(owner: Server, host: str, kept: int) -> int:
    """The kept one while its owner runs or it is free; else any that is free."""
    if kept and (owner.running() is not None or is_free(host, kept)):
        return kept
    with socket.create_server((host, 0), family=_family(host)) as probe:
        port: int = probe.getsockname()[1]
        return port


def is_free(host: str, port: int) -> bool:
    try:
        socket.create_server((host, port), family=_family(host)).close()
    except OSError:
        return False
    return True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _bootstrapped(home: BoardHome, place: Place, studio: LabelStudio) -> Connection:
    """Token, project and webhook as they should be, and where everything is, kept."""
    kept = home.secrets()
    token = labelstudio_setup.personal_token(studio.url, OPERATOR, kept.operator_password, kept=kept.personal_token)
    if token != kept.personal_token:
        home.keep_secrets(replace(home.secrets({}), personal_token=token))
    before = _connection(home)
    with labelstudio_setup.LabelStudioSetup(studio.url, token) as setup:
        setup.secure()
        project = setup.project(kept=before.project if before else None)
        setup.webhook(project, place.gateway, kept.webhook_secret)
    connection = Connection(origin=studio.origin, label_studio=studio.url, project=project, operator=OPERATOR)
    if connection != before:
        home.keep_connection(connection)
    return connection


def _connection(home: BoardHome) -> Connection | None:
    try:
        return home.connection()
    except BoardDown:
        return None


def _start_gateway(home: BoardHome, config: BoardConfig, place: Place, connection: Connection, tell: Tell) -> None:
    gateway = server(home, "gateway")
    command = [
        *(sys.executable, "-m", "annotate.gateway", "--home", str(home.root)),
        *("--host", config.host, "--port", str(place.gateway_port)),
        *(["--behind-proxy"] if config.public_origin else []),
    ]
    told = json.dumps([command, asdict(connection)], sort_keys=True)
    fingerprint = hashlib.sha256(told.encode()).hexdigest()[:32]
    if not gateway.is_as(fingerprint):
        gateway.stop()
        if not is_free(config.host, place.gateway_port):
            raise BoardRefused(
                f"{authority(config.host, place.gateway_port)} is taken by another program; set LIKENESS_BOARD_PORT to "
                "another port, or to 0 for any that is free"
            )
        tell(f"starting the gateway at {authority(config.host, place.gateway_port)}")
        gateway.start(command, _passed_on(os.environ), fingerprint=fingerprint)
    gateway.wait_for(place.gateway + HEALTH, timeout_s=GATEWAY_TIMEOUT_S)


def _passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    withheld = {f"{ENVIRONMENT}{name}" for name in ("OPERATOR_PASSWORD", "DATABASE_PASSWORD")}
    return {
        name: value
        for name, value in environment.items()
        if name in PASSED_ON or (name.startswith("LIKENESS_") and name not in withheld)
    }
