"""The part of a report on curation: arrivals, the funnel, what failed and what was dropped, the people found."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

from flows.recipe import Recipe
from flows.report import pictures, words
from flows.report.charts import Outline
from flows.report.content import (
    Arrival,
    ContactSheet,
    DroppedItem,
    FailedGroup,
    FailedItem,
    Picture,
    Reason,
    Scene,
    ShownReference,
    ShownSubject,
    Span,
    StageRow,
    ViewYield,
)
from flows.stages import tracks
from flows.stages.footage import Footage
from flows.stages.references import References
from flows.stages.tracks import Sighting
from flows.yields import counted
from warehouse import queries, tables
from warehouse.database import Session
from warehouse.gates import UNKNOWN, Gate, Step
from warehouse.media import MediaStore
from warehouse.records import Reference, Subject
from warehouse.sql import Row

MOST_OF_REASON = 12
"""Items shown of one reason."""
MOST_SHEETS = 24
MOST_SCENES = 6
MOST_REFERENCES = 5
"""Shown of one subject."""


def arrivals(session: Session, dataset: str | None) -> tuple[Arrival, ...]:
    return tuple(
        Arrival(name=row["arrival"], words=words.of_arrival(row["arrival"]), num=row["num_entries"])
        for row in queries.arrivals(session, dataset)
    )


def stages(session: Session, recipe: Recipe) -> tuple[StageRow, ...]:
    """The funnel's rows; none before anything was taken in."""
    rows = queries.funnel(session, recipe.steps)
    if not any(row["num_in"] for row in rows):
        return ()
    why = reasons(session, recipe.steps)
    described = {each.step.stage: words.of_stage(each.stage) for each in recipe.stages}
    return tuple(
        StageRow(
            name=row["stage"],
            noun=row["noun"],
            words=described[row["stage"]],
            **{name: row[name] for name in ("num_in", "passed", "dropped", "failed", "pending")},
            reasons=tuple(why[row["stage"]].values()),
        )
        for row in rows
    )


def reasons(session: Session, steps: Sequence[Step]) -> Mapping[str, Mapping[tuple[str, str], Reason]]:
    """By stage, then by verdict and the ledger's own reason; most frequent first."""
    gates = {step.stage: {gate.name: gate for gate in step.gates} for step in steps}
    found: dict[str, dict[tuple[str, str], Reason]] = defaultdict(dict)
    for row in queries.reasons(session):
        gate = gates[row["stage"]].get(row["reason"].removesuffix(UNKNOWN)) if row["verdict"] == "dropped" else None
        found[row["stage"]][row["verdict"], row["reason"]] = _reason(row, gate)
    return found


def failures(
    rows: Iterable[Row], why: Mapping[str, Mapping[tuple[str, str], Reason]], media: MediaStore
) -> tuple[FailedGroup, ...]:
    failed = [row for row in rows if row["verdict"] == "failed"]
    return tuple(
        FailedGroup(
            stage=stage,
            reason=reason,
            num=why[stage]["failed", reason].num,
            shown=tuple(_failed(row, media) for row in group),
        )
        for (stage, reason), group in groupby(failed, key=lambda row: (row["stage"], row["reason"]))
    )


def sheets(
    session: Session,
    rows: Iterable[Row],
    why: Mapping[str, Mapping[tuple[str, str], Reason]],
    steps: Sequence[Step],
    media: MediaStore,
) -> tuple[ContactSheet, ...]:
    """A contact sheet a gate that dropped something, in the order of the road."""
    dropped = [row for row in rows if row["verdict"] == "dropped"]
    found = []
    for step in steps:
        of_step = [row for row in dropped if row["stage"] == step.stage]
        values = _values(session, step, of_step)
        for reason, group in groupby(of_step, key=lambda row: row["reason"]):
            gate = next(gate for gate in step.gates if gate.name == reason.removesuffix(UNKNOWN))
            shown = tuple(_dropped(row, gate, values[row["item_id"]], media) for row in group)
            found.append(ContactSheet(stage=step.stage, reason=why[step.stage]["dropped", reason], shown=shown))
    return tuple(found[:MOST_SHEETS])


def scenes(session: Session, rows: Sequence[Row], media: MediaStore) -> tuple[Scene, ...]:
    """The clips of `queries.scenes` with their subjects and references."""
    source_ids = sorted({row["source_id"] for row in rows})
    subjects = _by_clip(tables.from_arrow(Subject, queries.in_play(session, "subject", source_ids)))
    references = _by_clip(tables.from_arrow(Reference, queries.in_play(session, "reference", source_ids)))
    subject_ids = [subject.subject_id for row in rows for subject in subjects[row["clip_id"]]]
    people = {row["subject_id"]: row for row in queries.identities_of_subjects(session, subject_ids)}
    found = [_scene(row, subjects[row["clip_id"]], references[row["clip_id"]], people, media) for row in rows]
    return tuple(scene for scene in found if scene is not None)


def view_yields(session: Session, recipe: Recipe) -> tuple[ViewYield, ...]:
    """None where nothing makes references."""
    if not any(isinstance(each.stage, References) for each in recipe.stages):
        return ()
    return tuple(
        ViewYield(
            made_by=row["synthesizer"] or "cut out of a frame",
            view="all" if row["is_total"] else row["view"].replace("_", " "),
            num_made=row["num_made"],
            num_kept=row["num_kept"],
            num_chosen=row["num_chosen"],
            identity_mean=row["identity_score_mean"],
            copy_paste_mean=row["copy_paste_mean"],
        )
        for row in counted(session, recipe)["yields"]
    )


def span_of(row: Mapping[str, Any]) -> Span:
    """Where an item lies: its file and, of a clip or a candidate, the frames."""
    whole = row["start_frame"] is None
    frames = "" if whole else f"frames {row['start_frame']:,} to {row['end_frame'] - 1:,}"
    return Span(file=_footage(row).name, frames=frames)


def shown_references(references: Sequence[Reference], media: MediaStore) -> tuple[ShownReference, ...]:
    """In the order given."""
    shown = [(each, pictures.stored(media, each.sha256, f"reference: {each.view}")) for each in references]
    return tuple(
        ShownReference(
            picture=picture,
            view=each.view.replace("_", " "),
            is_resynthesised=each.is_resynthesised,
            identity_score=each.identity_score,
        )
        for each, picture in shown
        if picture is not None
    )


def _footage(row: Mapping[str, Any]) -> Footage:
    """Of the item's source."""
    return Footage(path=Path(row["path"]), member=row["member"], offset=row["offset"], num_bytes=row["num_bytes"])


def _reason(row: Row, gate: Gate | None) -> Reason:
    is_drop = row["verdict"] == "dropped"
    return Reason(
        verdict=row["verdict"],
        words=words.of_drop(row["reason"], gate) if is_drop else row["reason"],
        gate=words.of_gate(gate) if gate else "",
        num=row["num_items"],
    )


def _values(session: Session, step: Step, rows: Sequence[Row]) -> Mapping[str, Row]:
    """The facts of these items, by item."""
    if not rows:
        return {}
    found = queries.facts(session, step, sorted({row["source_id"] for row in rows})).to_pylist()
    return {row["item_id"]: row for row in found}


def _failed(row: Row, media: MediaStore) -> FailedItem:
    return FailedItem(
        item_id=row["item_id"],
        span=span_of(row),
        exception=row["exception"] or "",
        picture=_thumbnail(row, media),
    )


def _dropped(row: Row, gate: Gate, fact: Row, media: MediaStore) -> DroppedItem:
    return DroppedItem(
        item_id=row["item_id"],
        span=span_of(row),
        picture=_thumbnail(row, media),
        value=words.of_value(fact[gate.measure]),
    )


def _thumbnail(row: Row, media: MediaStore) -> Picture | None:
    alt = f"a frame of {_footage(row).name}"
    if row["candidate_sha256"] is not None:
        return pictures.at_time(media.root / media.relative_path(row["candidate_sha256"]), Fraction(0), alt)
    middle = (_seconds(row["start"]) + _seconds(row["end"])) / 2 if row["start"] else Fraction(0)
    return pictures.at_time(_footage(row), middle, alt)


def _scene(
    row: Row, subjects: Sequence[Subject], references: Sequence[Reference], people: Mapping[str, Row], media: MediaStore
) -> Scene | None:
    """None: the file cannot be read any more."""
    ordered = sorted(subjects, key=lambda subject: subject.subject_index)
    seen = {each.subject_id: _sightings(each, media) for each in ordered}
    frame = _frame_of_most(ordered, seen)
    alt = f"frame {frame} of {_footage(row).name}"
    picture = pictures.at_time(_footage(row), _time_of(frame, row), alt, longest_side_px=pictures.SCENE_PX)
    if picture is None:
        return None
    shown = tuple(
        _shown(
            subject,
            people.get(subject.subject_id),
            pictures.outline_of(seen[subject.subject_id][frame], (row["width_px"], row["height_px"])),
            shown_references(_of_subject(references, subject), media),
        )
        for subject in ordered
    )
    return Scene(clip_id=row["clip_id"], span=span_of(row), caption=row["caption"], picture=picture, subjects=shown)


def _shown(
    subject: Subject, person: Row | None, outline: Outline | None, references: tuple[ShownReference, ...]
) -> ShownSubject:
    is_known = person is not None and subject.identity_vector is not None
    return ShownSubject(
        phrase=subject.phrase,
        identity=person["identity_id"] if person and is_known else None,
        num_clips=person["num_clips"] if person else 0,
        outline=outline,
        references=references,
    )


def _of_subject(references: Sequence[Reference], subject: Subject) -> list[Reference]:
    """The crop first, then the views by name."""
    own = [each for each in references if each.subject_id == subject.subject_id]
    return sorted(own, key=lambda each: (each.view != "crop", each.view, each.reference_id))[:MOST_REFERENCES]


def _sightings(subject: Subject, media: MediaStore) -> Mapping[int, Sighting]:
    """By frame."""
    return {each.frame: each for each in tracks.read(media.path_of(subject.track_sha256))}


def _frame_of_most(subjects: Sequence[Subject], seen: Mapping[str, Mapping[int, Sighting]]) -> int:
    """The frame looked at in which most of a clip's subjects are seen; of equals one that is somebody's key frame."""
    key_frames = {subject.key_frame for subject in subjects}
    frames = sorted(set[int]().union(*seen.values()))
    return max(frames, key=lambda frame: (sum(each[frame].is_seen for each in seen.values()), frame in key_frames))


def _time_of(frame: int, row: Row) -> Fraction:
    """When a frame of a clip is shown, in seconds; of a clip of uneven rate the nearest that is known."""
    share = Fraction(frame - row["start_frame"], row["end_frame"] - row["start_frame"])
    start, end = _seconds(row["start"]), _seconds(row["end"])
    return start + share * (end - start)


def _by_clip(records: Iterable[Any]) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for record in records:
        found[record.clip_id].append(record)
    return found


def _seconds(value: Mapping[str, int]) -> Fraction:
    return Fraction(value["num"], value["den"])
