"""A recipe: the stages in order, the gates behind them, and what follows, as data read from a profile."""

import importlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from flows.stages.stage import CandidateItem, ClipItem, SourceItem, Stage
from warehouse import ids
from warehouse.errors import BadRecipe
from warehouse.gates import PARENTS, Gate, Step

FLOWS = ("curate", "gather", "generate")
"""The flows that run stages. Those of `gather` look at all items together, once `curate` has measured each alone."""

NOUN_OF: Mapping[type, str] = {SourceItem: "source", ClipItem: "clip", CandidateItem: "candidate"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeStage:
    """A stage in its place on the road."""

    stage: Stage[Any, Any]
    flow: str
    """Which of `FLOWS` runs it."""
    step: Step
    """Its face towards the warehouse: key, table, gates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole configuration of the road, checked."""

    profile: str
    stages: tuple[RecipeStage, ...]
    options: Mapping[str, Any]
    """Every other table of the profile: identities, pairs, judge, votes, labels, work, training, reward, policy."""

    def __post_init__(self) -> None:
        nouns: set[str] = set()
        for step in self.steps:
            parent = PARENTS.get(step.noun)
            if parent and parent not in nouns:
                raise BadRecipe(f"stage {step.stage} takes {step.noun}s, but no stage before it takes {parent}s")
            nouns.add(step.noun)

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(each.step for each in self.stages)

    @property
    def key(self) -> str:
        """Digest of all that decides what a snapshot holds; how models are trained from it is not among that."""
        decisive = {name: self.options.get(name) for name in ("identities", "pairs", "judge", "votes")}
        if "labels" in self.options:
            decisive["labels"] = self.options["labels"]
        return ids.digest([self.described(), decisive])

    def described(self) -> list[Any]:
        """Stage keys and gates, as a snapshot records them."""
        return [
            [step.stage, step.stage_key, [[gate.name, gate.op, gate.threshold] for gate in step.gates]]
            for step in self.steps
        ]

    def of_flow(self, flow: str) -> frozenset[str]:
        """Names of the stages that a flow runs."""
        return frozenset(each.step.stage for each in self.stages if each.flow == flow)

    def with_thresholds(self, thresholds: Mapping[str, float]) -> "Recipe":
        """The same recipe with other thresholds, by gate name; `BadRecipe` for a gate it does not have."""
        known = sorted({gate.name for step in self.steps for gate in step.gates})
        for name in thresholds:
            if name not in known:
                raise BadRecipe(f"{name!r} is no gate of profile {self.profile}; it has {', '.join(known)}")
        return replace(self, stages=tuple(_rethreshold(each, thresholds) for each in self.stages))


def load(profile: str) -> Recipe:
    """A profile by name, or by the path of a TOML file. `BadRecipe` for anything in it that does not fit."""
    data = _read(profile)
    keys: dict[str, str] = {}
    stages = []
    for table in data.pop("stage", []):
        stage = _stage(table, keys)
        keys[stage.name] = stage_key(stage, [keys[need] for need in _needs(stage, keys)])
        gates = tuple(_gate(line, after=stage.name) for line in table.get("gate", []))
        step = Step(
            stage=stage.name, stage_key=keys[stage.name], noun=NOUN_OF[stage.takes], fact=stage.fact, gates=gates
        )
        stages.append(RecipeStage(stage=stage, flow=table["flow"], step=step))
    names = [gate.name for each in stages for gate in each.step.gates]
    if len(set(names)) < len(names):
        raise BadRecipe(f"profile {profile}: two gates of one name; give one of them a `name` of its own")
    return Recipe(profile=profile, stages=tuple(stages), options=data)


def tables_of(profile: str) -> Mapping[str, Any]:
    """A profile as it is written, nothing built. `BadRecipe` where there is none."""
    return _read(profile)


def stage_key(stage: Stage[Any, Any], needed_keys: Sequence[str]) -> str:
    """Digest of name, class, version, parameters, weights, and of the stages whose facts it reads."""
    parameters = {field.name: _content(getattr(stage, field.name)) for field in fields(stage)}  # type: ignore[arg-type]
    return ids.digest([stage.name, type(stage).__name__, stage.version, parameters, list(needed_keys)])


def _content(value: Any) -> Any:
    """A parameter as it is; an engine by its revision, which tells its own parameters and weights."""
    revision = getattr(value, "revision", None)
    return value if revision is None else {"engine": type(value).__name__, "revision": revision}


def _stage(table: Mapping[str, Any], known: Mapping[str, str]) -> Stage[Any, Any]:
    """The stage that a table of the profile describes."""
    stage: Stage[Any, Any] = build(table, apart=("flow", "gate"))
    if getattr(stage, "takes", None) not in NOUN_OF:
        raise BadRecipe(f"{table['use']} is no stage")
    if stage.name in known:
        raise BadRecipe(f"two stages are called {stage.name}")
    if table.get("flow") not in FLOWS:
        raise BadRecipe(f"stage {stage.name}: flow = {table.get('flow')!r}; take one of {', '.join(FLOWS)}")
    return stage


def _read(profile: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """The tables of a profile, over those of the one it `extends`. Its stages, where it has any, replace them all; a
    table `[change.STAGE]` replaces what it names of one stage, an engine or its gates, and leaves the rest."""
    if profile in above:
        raise BadRecipe(f"profile {profile} extends itself")
    path = Path(profile) if profile.endswith(".toml") else resources.files("flows.profiles") / f"{profile}.toml"
    try:
        data = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        known = sorted(file.name[:-5] for file in resources.files("flows.profiles").iterdir() if ".toml" in file.name)
        raise BadRecipe(f"{profile!r} is no profile; take {', '.join(known)} or the path of a .toml file") from error
    except (OSError, ValueError) as error:
        raise BadRecipe(f"profile {profile}: {error}") from error
    below = _read(data.pop("extends"), (*above, profile)) if "extends" in data else {}
    changes = data.pop("change", {})
    merged = below | {
        name: below.get(name, {}) | table if isinstance(table, dict) else table for name, table in data.items()
    }
    for name, change in changes.items():
        merged["stage"] = _changed(merged.get("stage", []), name, change, profile)
    return merged


def _changed(
    stages: Sequence[dict[str, Any]], name: str, change: Mapping[str, Any], profile: str
) -> list[dict[str, Any]]:
    """The stages with one of them changed. With another `use` it is another stage: only its flow and gates stay."""
    names = [_target(table).name for table in stages]
    if name not in names:
        raise BadRecipe(f"profile {profile} changes stage {name}, which there is not; there are {', '.join(names)}")
    place = names.index(name)
    before = stages[place]
    kept = {key: before[key] for key in ("flow", "gate") if key in before} if "use" in change else before
    return [*stages[:place], {**kept, **change}, *stages[place + 1 :]]


def build(table: Mapping[str, Any], *, apart: Sequence[str] = ()) -> Any:
    """The object that `use = "module:Class"` names, its other keys given as fields; tables among them likewise, and
    tables in a list."""
    values = {name: _built(value) for name, value in table.items() if name not in ("use", *apart)}
    target = _target(table)
    try:
        return target(**values)
    except (TypeError, ValueError) as error:
        raise BadRecipe(f"{table['use']}: {error}") from error


def _target(table: Mapping[str, Any]) -> Any:
    """What a table's `use` names."""
    target = table.get("use", "")
    module_name, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadRecipe(f"{target or 'a stage without `use`'}: {error}") from error


def _built(value: Any) -> Any:
    if isinstance(value, dict):
        return build(value)
    return [_built(each) for each in value] if isinstance(value, list) else value


def _needs(stage: Stage[Any, Any], known: Mapping[str, str]) -> Sequence[str]:
    for need in stage.needs:
        if need not in known:
            raise BadRecipe(f"stage {stage.name} needs stage {need}, which does not stand before it")
    return stage.needs


def _gate(line: Mapping[str, Any], *, after: str) -> Gate:
    try:
        return Gate(after=after, **line)
    except TypeError as error:
        raise BadRecipe(f"a gate after {after}: {error}") from error


def _rethreshold(each: RecipeStage, thresholds: Mapping[str, float]) -> RecipeStage:
    gates = tuple(replace(gate, threshold=thresholds.get(gate.name, gate.threshold)) for gate in each.step.gates)
    return replace(each, step=replace(each.step, gates=gates))
