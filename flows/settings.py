"""What is set from outside, read once and passed down."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from warehouse.database import Warehouse
from warehouse.errors import BadInput
from warehouse.media import MediaStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where things lie and how many hands work."""

    home: Path
    """All state lies below it: `LIKENESS_HOME`, by default `.likeness`."""
    warehouse_url: str
    """`LIKENESS_WAREHOUSE`, by default a DuckDB file in the home."""
    num_workers: int
    """Processes that measure: `LIKENESS_WORKERS`, by default one a core; 0 measures in this process."""
    shard_size: int
    """Sources a shard: what a kill loses at most."""
    is_orchestrated: bool
    """Whether steps run as Prefect flows; `LIKENESS_ORCHESTRATOR=none` runs them as plain functions."""

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ, *, warehouse_url: str | None = None) -> "Settings":
        """`BadInput` for a number that is none."""
        home = Path(environment.get("LIKENESS_HOME", ".likeness")).resolve()
        url = warehouse_url or environment.get("LIKENESS_WAREHOUSE") or str(home / "warehouse.duckdb")
        return cls(
            home=home,
            warehouse_url=url,
            num_workers=_count(environment, "LIKENESS_WORKERS", len(os.sched_getaffinity(0))),
            shard_size=max(1, _count(environment, "LIKENESS_SHARD_SIZE", 4)),
            is_orchestrated=environment.get("LIKENESS_ORCHESTRATOR", "prefect") != "none",
        )

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse.at(self.warehouse_url)

    @property
    def media(self) -> MediaStore:
        return MediaStore(self.home / "media")

    @property
    def staging(self) -> Path:
        return self.home / "staging"

    @property
    def snapshots(self) -> Path:
        return self.home / "snapshots"

    @property
    def checkpoints(self) -> Path:
        return self.home / "checkpoints"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def board(self) -> Path:
        return self.home / "board"


def _count(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdecimal():
        raise BadInput(f"{name}={text}: a whole number is needed")
    return int(text)
