"""Pairs whose answer is known: told by a file, or made by the profile's rule `[votes] gold = { ... }`."""

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate.probes import GoldRule, gold_of
from flows.recipe import Recipe
from warehouse.board_records import Gold
from warehouse.errors import BadInput, BadRecipe
from warehouse.records import Candidate, Outcome, Pair

COLUMNS = ("pair_id", "outcome")
_JSON_SUFFIXES = {".json", ".jsonl", ".ndjson"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldGold:
    """A line of a gold file."""

    where: str
    """File and 1-based line."""
    gold: Gold


def rule_of(recipe: Recipe) -> GoldRule | None:
    """What the profile says makes a pair gold; None: nothing does."""
    values = recipe.options["votes"].get("gold")
    if values is None:
        return None
    try:
        return GoldRule(**values | {"generators": tuple(values["generators"])})
    except (KeyError, TypeError, ValueError) as error:
        raise BadRecipe(f"profile {recipe.profile}: votes.gold: {error!r}") from error


def read_gold(path: Path) -> tuple[ToldGold, ...]:
    """What a file tells: CSV with the columns `pair_id` and `outcome`, or JSON lines with these keys.

    `outcome` is of the pair's own order: `A` where `candidate_a` is better, `tie`, `B`. `BadInput` with the line for
    anything else.
    """
    if not path.is_file():
        raise BadInput(f"{path}: no such gold file")
    told: dict[str, ToldGold] = {}
    for line, row in _json_rows(path) if path.suffix.lower() in _JSON_SUFFIXES else _csv_rows(path):
        found = _told(path, line, row)
        if earlier := told.get(found.gold.pair_id):
            raise BadInput(f"{found.where}: {found.gold.pair_id} stands in {earlier.where} already; keep one of them")
        told[found.gold.pair_id] = found
    if not told:
        raise BadInput(f"{path}: no gold answer in it; a line holds pair_id and outcome (A, tie, B)")
    return tuple(told.values())


def new_gold(
    told: Sequence[ToldGold],
    rule: GoldRule | None,
    *,
    known: Mapping[str, Gold],
    pair_ids: Collection[str],
    pairs: Sequence[Pair],
    candidates: Mapping[str, Candidate],
    seed: int,
) -> tuple[Gold, ...]:
    """What is not `known` yet, by pair id: all that a file tells, and of `pairs` what the rule makes of the others.

    `BadInput` where a file names a pair that is not there (`pair_ids`: all that are), or contradicts an earlier answer.
    """
    for each in told:
        _refuse_strange(each, known, pair_ids)
    ruled = () if rule is None else gold_of(pairs, candidates, rule, seed=seed)
    found = {gold.pair_id: gold for gold in (*ruled, *(each.gold for each in told))}
    return tuple(gold for pair_id, gold in sorted(found.items()) if pair_id not in known)


def _refuse_strange(told: ToldGold, known: Mapping[str, Gold], pair_ids: Collection[str]) -> None:
    gold = told.gold
    if gold.pair_id not in pair_ids:
        raise BadInput(f"{told.where}: {gold.pair_id} is no pair of this warehouse; `likeness why CLIP` lists a clip's")
    earlier = known.get(gold.pair_id)
    if earlier is not None and earlier.outcome is not gold.outcome:
        raise BadInput(
            f"{told.where}: {gold.pair_id} is {gold.outcome} here and {earlier.outcome} by {earlier.source};"
            " one of them is wrong, correct the file"
        )


def _told(path: Path, line: int, row: Mapping[str, Any]) -> ToldGold:
    where = f"{path}, line {line}"
    pair_id, outcome = row.get("pair_id"), row.get("outcome")
    if set(row) != set(COLUMNS) or not isinstance(pair_id, str) or not pair_id:
        raise BadInput(f"{where}: found {dict(row)!r}; a line holds pair_id and outcome, and nothing else")
    if outcome not in list(Outcome):
        raise BadInput(f"{where}: outcome is {outcome!r}; take one of {', '.join(Outcome)}")
    return ToldGold(where=where, gold=Gold(pair_id=pair_id, outcome=Outcome(outcome), source=f"file: {path.name}"))


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with io.StringIO(_text(path), newline="") as file:
        reader = csv.DictReader(file, strict=True, restkey="more", skipinitialspace=True)
        try:
            if set(reader.fieldnames or ()) != set(COLUMNS):
                raise BadInput(f"{path}, line 1: columns are {reader.fieldnames}; a gold file has pair_id and outcome")
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise BadInput(f"{path}, line {reader.reader.line_num}: {error}; check its quotes") from error


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, text in enumerate(_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadInput(f"{path}, line {line}: {error}; each line must be one JSON object") from error
        if not isinstance(row, dict):
            raise BadInput(f"{path}, line {line}: found {text.strip()!r}; each line must be one JSON object")
        yield line, row


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}, line {line}: is no UTF-8; save it as UTF-8") from error
