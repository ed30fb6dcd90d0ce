"""`likeness doctor`: what is installed, on what it runs, and which engines of a profile can load here."""

import importlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import recipe as recipes
from warehouse.errors import BadRecipe, EngineUnavailable

ROOMS = ("warehouse", "annotate", "trainers", "flows")
"""Packages that must be ours: with names so general, another distribution may have put its own in their place."""

LIBRARIES: Mapping[str, str] = {
    **dict.fromkeys(("av", "diffusers", "dlib-bin", "duckdb", "opencv-python-headless", "prefect", "pyarrow"), ""),
    **dict.fromkeys(("scenedetect", "torch", "transformers"), ""),
    **dict.fromkeys(("groundingdino-py", "onnxruntime", "sam2", "torchvision"), "paper"),
    "label-studio-sdk": "board",
    "ray": "ray",
}
"""Distributions, and the extra of ours that installs them; empty: always there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the examination."""

    kind: str
    """`room`, `library`, `device` or `engine`."""
    name: str
    is_well: bool
    says: str

    @property
    def stops_work(self) -> bool:
        """A library that is not there matters only to engines that need it, and they say so themselves."""
        return not self.is_well and self.kind != "library"


def examine(profile: str, *, load: bool) -> Iterator[Finding]:
    """Look at everything, worst surprises first; `load` also loads every engine's weights or reaches its service."""
    yield from map(_room, ROOMS)
    yield from (_library(name, extra) for name, extra in sorted(LIBRARIES.items()))
    yield _device()
    seen = set()
    for place, table in _engines(recipes.tables_of(profile)):
        if (key := repr(table)) not in seen:
            seen.add(key)
            yield _engine(place, table, load=load)


def findings_text(findings: list[Finding]) -> str:
    """A line a finding."""
    return "\n".join(
        f"{'ok ' if each.is_well else '-- '} {each.kind:<8}{each.name:<34}{each.says}" for each in findings
    )


def _room(name: str) -> Finding:
    file = importlib.import_module(name).__file__
    home = Path(__file__).parent.parent
    is_ours = file is not None and Path(file).is_relative_to(home)
    says = str(Path(file or "").parent) if is_ours else f"{file} is not Likeness's; reinstall it in its own environment"
    return Finding(kind="room", name=name, is_well=is_ours, says=says)


def _library(name: str, extra: str) -> Finding:
    try:
        return Finding(kind="library", name=name, is_well=True, says=importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        says = f"not installed; pip install -c constraints.txt 'likeness[{extra}]'" if extra else "not installed"
        return Finding(kind="library", name=name, is_well=False, says=says)


def _device() -> Finding:
    import torch

    if not torch.cuda.is_available():
        return Finding(kind="device", name="cpu", is_well=True, says=f"{torch.get_num_threads()} threads; no GPU")
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    name = torch.cuda.get_device_name(0)
    return Finding(kind="device", name="cuda", is_well=True, says=f"{name}, {memory:.0f} GiB")


def _engines(profile: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every table that names an engine of a stage, or a judge, with the name of its key. What stands inside an engine,
    the engine answers for."""
    for stage in profile.get("stage", []):
        yield from ((name, table) for name, table in stage.items() if isinstance(table, dict) and "use" in table)
    yield from (("judge", table) for table in profile.get("judge", []))


def _engine(place: str, table: dict[str, Any], *, load: bool) -> Finding:
    name = f"{place}: {table['use'].partition(':')[2]}"
    try:
        engine = recipes.build(table)
        if load and hasattr(engine, "load"):
            engine.load()
    except (EngineUnavailable, BadRecipe) as error:
        return Finding(kind="engine", name=name, is_well=False, says=str(error))
    says = f"{engine.revision}" + ("; loaded" if load else "")
    return Finding(kind="engine", name=name, is_well=True, says=says)
