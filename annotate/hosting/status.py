"""How a board stands: what runs since when, where it is, how much it holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from annotate.errors import AnnotateError
from annotate.home import BoardHome, Connection, Secrets
from annotate.hosting.processes import Server, answers
from annotate.hosting.up import HEALTH, Place, server
from annotate.labelstudio_http import LabelStudioServer


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """One of the two servers."""

    is_running: bool
    is_answering: bool
    since: str | None
    """ISO 8601 in UTC; None: it does not run."""
    memory_bytes: int
    log: str
    """Path of what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardStatus:
    """Nothing in here is secret."""

    origin: str
    operator: str
    database: str
    gateway: ServerStatus
    label_studio: ServerStatus
    num_members: int
    num_adjudicators: int
    num_tasks: int | None
    """None, as with answers: Label Studio could not be asked."""
    num_answers: int | None
    """Votes that stand; skips are none."""
    num_media: int
    media_bytes: int
    last_wake: str | None
    """When something last happened on the board, as far as it told; None: never."""

    @property
    def is_up(self) -> bool:
        return self.gateway.is_answering and self.label_studio.is_answering


def status(home: BoardHome) -> BoardStatus:
    """`BoardDown` where no board was ever started."""
    connection, place = home.connection(), Place.of(home)
    members = home.members()
    studio = _server_status(server(home, "label_studio"), f"{connection.label_studio}/health")
    gateway = _server_status(server(home, "gateway"), place.gateway + HEALTH)
    counts = _counts(connection, home.secrets()) if studio.is_answering else {}
    sizes = [path.stat().st_size for path in _files(home.media)]
    return BoardStatus(
        origin=connection.origin,
        operator=connection.operator,
        database=place.database,
        gateway=gateway,
        label_studio=studio,
        num_members=len(members),
        num_adjudicators=sum(member.is_adjudicator for member in members),
        num_tasks=counts.get("task_number"),
        num_answers=counts.get("total_annotations_number"),
        num_media=len(sizes),
        media_bytes=sum(sizes),
        last_wake=_time_of(home.wake),
    )


def status_text(found: BoardStatus) -> str:
    unknown = "?"
    tasks, answered = (unknown if num is None else f"{num:,}" for num in (found.num_tasks, found.num_answers))
    lines = [
        f"address       {found.origin}",
        f"operator      {found.operator}",
        f"database      {found.database}",
        f"gateway       {_server_text(found.gateway)}",
        f"label studio  {_server_text(found.label_studio)}",
        f"members       {found.num_members}, {found.num_adjudicators} of them adjudicators",
        f"tasks         {tasks}",
        f"answers       {answered}",
        f"media         {found.num_media:,} files, {found.media_bytes / 1e6:,.1f} MB",
        f"last wake     {found.last_wake or 'never'}",
    ]
    return "\n".join(lines)


def _server_text(found: ServerStatus) -> str:
    if not found.is_running:
        return f"down; log: {found.log}"
    how = "up" if found.is_answering else "started, and does not answer"
    return f"{how} since {found.since}, {found.memory_bytes / 1e6:,.0f} MB; log: {found.log}"


def _server_status(of: Server, health: str) -> ServerStatus:
    running = of.running()
    return ServerStatus(
        is_running=running is not None,
        is_answering=running is not None and answers(health),
        since=running.since if running else None,
        memory_bytes=of.memory_bytes(),
        log=str(of.log),
    )


def _counts(connection: Connection, kept: Secrets) -> Mapping[str, Any]:
    """What Label Studio counts of the project; nothing where it does not say."""
    server = LabelStudioServer(connection.label_studio, None, timeout_s=20, patience_s=0)
    try:
        access = server.send("POST", "/api/token/refresh/", json={"refresh": kept.personal_token}).json()["access"]
        server.http.headers["Authorization"] = f"Bearer {access}"
        found: Mapping[str, Any] = server.send("GET", f"/api/projects/{connection.project}").json()
    except AnnotateError:
        return {}
    finally:
        server.close()
    return found


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else iter(())


def _time_of(path: Path) -> str | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except FileNotFoundError:
        return None
