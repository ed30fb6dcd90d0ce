"""`likeness freeze`: settled pairs, with all that training needs to know of them, become a snapshot."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from annotate.annotators import left_out
from annotate.limits import Flag
from flows.cast_votes import cast_votes, judged
from flows.generate import splits_of_clips
from flows.label_choice import LabelChoice, choice_of
from flows.recipe import Recipe
from flows.seats import roll_of
from flows.settings import Settings
from flows.text_video_gap import gap_of
from warehouse import gates, queries, snapshot, tables
from warehouse.database import Session
from warehouse.errors import NothingToDo, Unbalanced
from warehouse.records import Origin, Outcome
from warehouse.snapshot import Snapshot

FACE = pa.struct([("frame", pa.int32()), ("subject_index", pa.int32()), ("vector", pa.list_(pa.float32()))])
SCHEMAS: Mapping[str, pa.Schema] = {
    "pairs": pa.schema(
        [
            ("pair_id", pa.string()),
            ("clip_id", pa.string()),
            ("prompt", pa.string()),
            ("candidate_a", pa.string()),
            ("candidate_b", pa.string()),
            ("kind", pa.string()),
            ("outcome", pa.int8()),
            ("num_votes", pa.int32()),
            ("origin", pa.string()),
            ("policy", pa.string()),
            ("split", pa.string()),
        ]
    ),
    "clips": pa.schema(
        [
            ("clip_id", pa.string()),
            ("source_id", pa.string()),
            ("prompt", pa.string()),
            ("split", pa.string()),
            ("num_subjects", pa.int32()),
        ]
    ),
    "candidates": pa.schema(
        [
            ("candidate_id", pa.string()),
            ("clip_id", pa.string()),
            ("generator", pa.string()),
            ("severity", pa.float64()),
            ("sha256", pa.string()),
            ("num_frames", pa.int32()),
            ("frame_rate_num", pa.int64()),
            ("frame_rate_den", pa.int64()),
            ("width_px", pa.int32()),
            ("height_px", pa.int32()),
            ("sharpness", pa.float64()),
            ("flicker", pa.float64()),
            ("motion", pa.float64()),
            ("looked_frames", pa.list_(pa.int32())),
            ("faces", pa.list_(FACE)),
        ]
    ),
    "references": pa.schema(
        [
            ("reference_id", pa.string()),
            ("clip_id", pa.string()),
            ("subject_id", pa.string()),
            ("subject_index", pa.int32()),
            ("identity_id", pa.string()),
            ("view", pa.string()),
            ("is_resynthesised", pa.bool_()),
            ("is_chosen", pa.bool_()),
            ("sha256", pa.string()),
            ("identity_score", pa.float64()),
            ("copy_paste_score", pa.float64()),
            ("vector", pa.list_(pa.float32())),
        ]
    ),
    "votes": pa.schema(
        [
            ("vote_id", pa.string()),
            ("pair_id", pa.string()),
            ("annotator", pa.string()),
            ("origin", pa.string()),
            ("outcome", pa.string()),
            ("is_counted", pa.bool_()),
            ("purpose", pa.string()),
            ("is_swapped", pa.bool_()),
            ("cast_at", pa.string()),
            ("seconds", pa.float64()),
        ]
    ),
}


def freeze(settings: Settings, recipe: Recipe) -> Snapshot:
    """Freeze what is settled now; the same content gives the same snapshot. `NothingToDo` if nothing is settled."""
    choice = choice_of(recipe)
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps)
        flagged = _flagged(session, recipe, choice)
        rows, num_straddling = _rows(session, recipe, choice, sorted(flagged))
    found = {name: pa.Table.from_pylist(rows[name], schema=schema) for name, schema in SCHEMAS.items()}
    frozen = snapshot.freeze(
        found,
        root=settings.snapshots,
        media=settings.media,
        facts={
            "profile": recipe.profile,
            "recipe_key": recipe.key,
            "stages": recipe.described(),
            "label_policy": choice.name,
            "label_origin": choice.origin.value,
            "votes": _votes_held(rows["votes"]),
            **_limits_told(choice, flagged),
            "pairs": dict(recipe.options["pairs"]),
            "num_pairs_straddling": num_straddling,
        },
    )
    with settings.warehouse.transaction() as session:
        row = {
            "snapshot_id": [frozen.id],
            "label_policy": [choice.name],
            "frozen_at": [datetime.now(UTC).replace(tzinfo=None)],
        }
        tables.merge(session, "snapshot", pa.table(row), keys=["snapshot_id"])
    return frozen


def _flagged(session: Session, recipe: Recipe, choice: LabelChoice) -> Mapping[str, tuple[Flag, ...]]:
    """Whose votes the labels do without, and why."""
    if not choice.is_without_flagged:
        return {}
    votes = cast_votes(session, recipe, choice.origin)
    return left_out(judged(session, choice, choice.origin, votes).annotators)


def _limits_told(choice: LabelChoice, flagged: Mapping[str, tuple[Flag, ...]]) -> dict[str, Any]:
    """What a snapshot says of annotators who are left out; nothing where nobody can be."""
    if not choice.is_without_flagged:
        return {}
    return {
        "limits": asdict(choice.limits),
        "left_out": {name: [flag.words for flag in flags] for name, flags in flagged.items()},
    }


def _votes_held(votes: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """How many votes of each origin there are, and how many of them count."""
    num = Counter(vote["origin"] for vote in votes)
    num_counted = Counter(vote["origin"] for vote in votes if vote["is_counted"])
    return {origin.value: {"num": num[origin], "num_counted": num_counted[origin]} for origin in Origin}


def _checked(pairs: Sequence[Mapping[str, Any]], votes: Sequence[Mapping[str, Any]]) -> None:
    """`Unbalanced` where labels were not settled from the votes that count now."""
    num_counted = Counter(vote["pair_id"] for vote in votes if vote["is_counted"])
    stale = [row["pair_id"] for row in pairs if row["origin"] and row["num_votes"] != num_counted[row["pair_id"]]]
    if stale:
        raise Unbalanced(
            f"{len(stale)} labels are older than their votes, as that of {stale[0]}; settle anew by `likeness collect`"
        )


def _rows(
    session: Session, recipe: Recipe, choice: LabelChoice, without: Sequence[str]
) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """The rows of every table, and the number of pairs left out because their people stand on both sides now."""
    splits = splits_of_clips(session, recipe)
    gap = gap_of(session, recipe)
    settled = [
        row
        for row in queries.settled_pairs(session, choice.origin, choice.policies, recipe.steps[-1].stage)
        if gap.lets(row["candidate_a"], row["candidate_b"])
    ]
    pairs = [
        row | {"outcome": Outcome(row["outcome"]).code, "split": splits[row["clip_id"]]}
        for row in settled
        if row["clip_id"] in splits
    ]
    if not pairs:
        raise NothingToDo(
            f"no pair is settled by {choice.origin} votes under {choice.name};"
            " `likeness funnel` shows how far the clips came"
        )
    clip_ids = sorted({row["clip_id"] for row in pairs})
    rows = {
        "pairs": pairs,
        "clips": [row | {"split": splits[row["clip_id"]]} for row in queries.frozen_clips(session, clip_ids)],
        "candidates": [candidate_row(row) for row in queries.frozen_candidates(session, clip_ids)],
        "references": queries.frozen_references(session, clip_ids),
        "votes": queries.frozen_votes(
            session, [row["pair_id"] for row in pairs], choice.origin, [seat.key for seat in roll_of(recipe)], without
        ),
    }
    _checked(pairs, rows["votes"])
    return rows, len(settled) - len(pairs)


def candidate_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `queries.frozen_candidates` with one face an entry, as training reads them."""
    columns = (row["face_frames"], row["face_subjects"], row["face_vectors"])
    faces = [
        {"frame": frame, "subject_index": subject, "vector": vector}
        for frame, subject, vector in zip(*columns, strict=True)
    ]
    return {name: value for name, value in row.items() if not name.startswith("face_")} | {"faces": faces}
