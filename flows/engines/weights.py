"""Where a network's weights lie and which they are: a local folder or file, or a name on the Hugging Face hub.

The `revision` of an engine is part of every fact's key, so it must not need weights to be loaded: commands that run no
model ask for it too. A folder is known by the content of its files; a hub name by the revision that the profile pins.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from warehouse import files, ids
from warehouse.errors import BadRecipe, EngineUnavailable

_LARGE_BYTES = 1 << 24
_KEPT = "weights.json"
"""In the cache folder: digests of large files by path, size and time of change, so that each is read once."""


@cache
def revision_of(model: str, revision: str = "main") -> str:
    """What tells these weights from others: of a folder or file its digest, of a hub name `name@revision`."""
    path = Path(model)
    if path.exists():
        return digest_of(path)
    if path.is_absolute() or model.startswith("."):
        raise EngineUnavailable(f"{model}: no such folder of weights; check the path, or give a name on the hub")
    if not revision:
        raise BadRecipe(f"{model}: a name on the hub needs a revision; `main` moves, a commit does not")
    return f"{model}@{revision}"


def digest_of(path: Path) -> str:
    """Digest of a file, or of a folder's files and their names (hidden ones left out)."""
    if path.is_file():
        return _file_digest(path)
    return ids.digest([[file.relative_to(path).as_posix(), _file_digest(file)] for file in _files(path)])


def _files(folder: Path) -> Iterator[Path]:
    return iter(
        sorted(
            file
            for file in folder.rglob("*")
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        )
    )


def _file_digest(path: Path) -> str:
    """SHA-256 of the content; remembered, because profiles are read by every command and weights are large."""
    stat = path.stat()
    if stat.st_size < _LARGE_BYTES:
        return ids.file_digest(path)
    key = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    kept = _read_kept()
    if key not in kept:
        kept[key] = ids.file_digest(path)
        files.write(_kept_path(), json.dumps(kept, indent=1).encode())
    return kept[key]


def _kept_path() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "likeness" / _KEPT


def _read_kept() -> dict[str, str]:
    try:
        kept: dict[str, str] = json.loads(_kept_path().read_text())
    except (OSError, ValueError):
        return {}
    return kept


def short(text: str) -> str:
    """The beginning of a text's digest: for parts of a revision that are long, such as a prompt."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
