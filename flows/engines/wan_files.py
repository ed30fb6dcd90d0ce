"""Files of a Wan transformer in Wan's own format: one `.pth` or `.safetensors`, or shards with an index."""

import json
from pathlib import Path

from flows.engines import loading
from flows.engines.weights import revision_of
from warehouse import ids
from warehouse.errors import EngineUnavailable

INDEX = ".safetensors.index.json"
SUFFIXES = (INDEX, ".safetensors", ".pth")
"""In the order in which they are looked for: a folder with an index has shards beside it."""


def find(model: str, file: str, revision: str) -> tuple[Path, ...]:
    """The files that hold the weights; from the hub they are fetched. `EngineUnavailable` if one is not there."""
    if Path(model).exists():
        return _listed(_local(Path(model), file))
    first = loading.checkpoint_path(model, revision, file)
    for name in _shards(first):
        loading.checkpoint_path(model, revision, str(Path(file).with_name(name)))
    return _listed(first)


def revision_of_original(model: str, file: str, revision: str) -> str:
    """What tells these weights from others, read from the local files, or the name and revision on the hub."""
    if not Path(model).exists():
        return f"{revision_of(model, revision)}/{file}"
    return ids.digest([revision_of(str(path)) for path in find(model, file, revision)])


def _local(path: Path, file: str) -> Path:
    if path.is_file():
        return path
    if file:
        return path / file
    for suffix in SUFFIXES:
        found = sorted(each for each in path.iterdir() if each.name.endswith(suffix) and not _is_encoder(each))
        if len(found) > 1:
            raise EngineUnavailable(f"{path}: several weights, {found[0].name} and others; name one as `file`")
        if found:
            return found[0]
    raise EngineUnavailable(f"{path}: no transformer there, in diffusers' format or in Wan's own; check the path")


def _is_encoder(path: Path) -> bool:
    """Wan's releases have the text encoder, image encoder and codec beside the transformer."""
    return path.name.startswith("models_") or "VAE" in path.name


def _listed(path: Path) -> tuple[Path, ...]:
    files = tuple(path.with_name(name) for name in _shards(path)) or (path,)
    if missing := [each for each in files if not each.is_file()]:
        raise EngineUnavailable(f"{missing[0]}: no such file of weights; fetch the whole release")
    return files


def _shards(path: Path) -> list[str]:
    if not path.name.endswith(INDEX):
        return []
    try:
        names = sorted({path.with_name(name).name for name in json.loads(path.read_text())["weight_map"].values()})
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise EngineUnavailable(f"{path}: no index of weights ({error}); fetch it again") from error
    return names
