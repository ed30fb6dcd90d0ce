"""The curve of a run: one JSON object a line in `metrics.jsonl`, `step` in each, steps ascending."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warehouse import files

METRICS = "metrics.jsonl"


class RunLog:
    """Appends to the folder's curve. Opened at a resumed step, it forgets what came after that step."""

    def __init__(self, folder: Path, *, last_step: int) -> None:
        """`last_step`: the step of the state the run goes on from; rows beyond it will be made again. -1: none yet."""
        self.path = folder / METRICS
        kept = [row for row in read(folder) if row["step"] <= last_step]
        files.write(self.path, "".join(map(_line, kept)).encode())

    def append(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Write one row and sync it, so that a saved state never knows more than the curve."""
        with files.full_disk_told(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(_line({"step": step} | dict(metrics)))
            file.flush()
            os.fsync(file.fileno())


def read(folder: Path) -> list[dict[str, Any]]:
    """All rows, in order; a last line that a killed process left unfinished is not one."""
    path = folder / METRICS
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, allow_nan=False) + "\n"
