"""The folder in which a board lives: who may vote, where its servers are, its secrets, and the media it shows.

Everything here is small JSON, replaced whole, so that the gateway, `collect` and the commands read it while it changes.
Secrets are readable by their owner only (0600) and masked in every `repr`; any of them can be given by the environment
instead (`LIKENESS_BOARD_<NAME>`).
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from annotate.errors import BoardDamaged, BoardDown
from annotate.votes import Annotator, Roll
from warehouse import files
from warehouse.records import Origin

ENVIRONMENT = "LIKENESS_BOARD_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What must not be seen; an empty text is none yet."""

    operator_password: str = field(default="", repr=False)
    personal_token: str = field(default="", repr=False)
    """Label Studio's: a refresh token, for which the sdk gets access tokens of five minutes."""
    link_key: str = field(default="", repr=False)
    """Signs media links, and names media files."""
    webhook_secret: str = field(default="", repr=False)
    database_password: str = field(default="", repr=False)

    def __repr__(self) -> str:
        told = ", ".join(f"{each.name}={'***' if getattr(self, each.name) else 'none'}" for each in fields(self))
        return f"Secrets({told})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the board's servers are."""

    origin: str
    """What annotators type: the gateway, or the nginx before it, as `http://127.0.0.1:8090`."""
    label_studio: str
    """Label Studio itself, which only our own processes talk to."""
    project: int
    """Label Studio's number of the project."""
    operator: str
    """E-mail of the account that owns the project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody who was invited."""

    user: int
    """Label Studio's number of the account."""
    name: str
    email: str
    is_adjudicator: bool = False
    """Asked only about pairs on which the others are split."""


@dataclass(frozen=True, slots=True)
class BoardHome:
    """`root` is `LIKENESS_HOME/board`."""

    root: Path

    @property
    def media(self) -> Path:
        """Published files, under names that tell nothing (`links.media_name`)."""
        return self.root / "media"

    @property
    def wake(self) -> Path:
        """Touched when something happened on the board: `collect --watch` looks at its time."""
        return self.root / "wake"

    @property
    def leases(self) -> Path:
        """Which tasks were dealt to whom: the gateway's own."""
        return self.root / "leases.jsonl"

    def secrets(self, environment: Mapping[str, str] = os.environ) -> Secrets:
        """The environment's where it has them, else the file's; keys that nobody gave are drawn and kept."""
        kept = Secrets(**_read(self.root / "secrets.json"))
        drawn = {name: secrets.token_urlsafe(32) for name in ("link_key", "webhook_secret") if not getattr(kept, name)}
        if drawn:
            kept = replace(kept, **drawn)
            self.keep_secrets(kept)
        names = {each.name: ENVIRONMENT + each.name.upper() for each in fields(Secrets)}
        return replace(kept, **{name: environment[key] for name, key in names.items() if environment.get(key)})

    def keep_secrets(self, kept: Secrets) -> None:
        _write(self.root / "secrets.json", asdict(kept))

    def connection(self) -> Connection:
        """`BoardDown` where no board was ever started."""
        values = _read(self.root / "connection.json")
        if not values:
            raise BoardDown(f"{self.root}: no board was started here; `likeness board up` starts one")
        return Connection(**values)

    def keep_connection(self, connection: Connection) -> None:
        _write(self.root / "connection.json", asdict(connection))

    def members(self) -> tuple[Member, ...]:
        return tuple(Member(**values) for values in _read(self.root / "members.json").get("members", []))

    def keep_members(self, members: tuple[Member, ...]) -> None:
        _write(self.root / "members.json", {"members": [asdict(member) for member in members]})

    def roll(self) -> Roll:
        """Those who may vote, by Label Studio's number as text."""
        return {str(member.user): Annotator(name=member.name, origin=Origin.HUMAN) for member in self.members()}


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise BoardDamaged(
            f"{path}: no JSON ({error}); restore it, or delete it and run `likeness board up`"
        ) from error
    if not isinstance(values, dict):
        raise BoardDamaged(f"{path}: holds no JSON object; restore it, or delete it and run `likeness board up`")
    return values


def _write(path: Path, values: Mapping[str, Any]) -> None:
    """Replaced whole; readable by its owner only."""
    files.write(path, json.dumps(values, indent=1).encode(), mode=0o600)
