"""Inputs of the tests: each function gives a valid thing, and takes what a test wants different."""

from fractions import Fraction
from typing import Any

from annotate.board import Answer, Dealing, PairTask
from warehouse import ids
from warehouse.board_records import EventKind, Gold, Showing, VoteEvent, Watermark
from warehouse.records import Candidate, Clip, Origin, Outcome, Pair, Purpose, Reference, Source, Subject, Vote

SHA = "0" * 64


def source(**override: Any) -> Source:
    values: dict[str, Any] = {
        "source_id": "source_1",
        "dataset": "sample",
        "path": "/nowhere/one.mp4",
        "sha256": SHA,
        "num_bytes": 1,
        "caption": "A woman in a red coat walks.",
        "extra": None,
    }
    return Source(**(values | override))


def clip(**override: Any) -> Clip:
    values: dict[str, Any] = {
        "clip_id": "clip_1",
        "source_id": "source_1",
        "fact_key": "fact_shots",
        "shot_index": 0,
        "start_frame": 0,
        "end_frame": 48,
        "start": Fraction(0),
        "end": Fraction(2),
        "frame_rate": Fraction(24),
        "width_px": 320,
        "height_px": 240,
    }
    return Clip(**(values | override))


def subject(**override: Any) -> Subject:
    values: dict[str, Any] = {
        "subject_id": "subject_1",
        "clip_id": "clip_1",
        "fact_key": "fact_subjects",
        "subject_index": 0,
        "phrase": "a woman in a red coat",
        "key_frame": 0,
        "box_px": (10.0, 20.0, 110.0, 220.0),
        "face_box_px": (40.0, 30.0, 80.0, 70.0),
        "track_sha256": SHA,
        "identity_vector": (1.0, 0.0, 0.0),
        "identity_model": "dlib",
    }
    return Subject(**(values | override))


def reference(**override: Any) -> Reference:
    values: dict[str, Any] = {
        "reference_id": "reference_1",
        "subject_id": "subject_1",
        "clip_id": "clip_1",
        "fact_key": "fact_references",
        "view": "crop",
        "synthesizer": None,
        "prompt": None,
        "is_resynthesised": False,
        "sha256": SHA,
        "width_px": 128,
        "height_px": 128,
        "face_px": 45.0,
        "sharpness": 120.0,
        "copy_paste_score": 1.0,
        "identity_score": 1.0,
        "identity_vector": (1.0, 0.0, 0.0),
        "is_chosen": True,
    }
    return Reference(**(values | override))


def candidate(**override: Any) -> Candidate:
    values: dict[str, Any] = {
        "candidate_id": "candidate_1",
        "clip_id": "clip_1",
        "fact_key": "fact_candidates",
        "generator": "original",
        "severity": 0.0,
        "seed": 0,
        "sha256": SHA,
    }
    return Candidate(**(values | override))


def pair(**override: Any) -> Pair:
    values: dict[str, Any] = {
        "pair_id": "pair_1",
        "clip_id": "clip_1",
        "candidate_a": "candidate_1",
        "candidate_b": "candidate_2",
        "is_swapped": False,
        "kind": "original_vs_generated",
        "split": "train",
        "seed": 0,
    }
    return Pair(**(values | override))


def showing(**override: Any) -> Showing:
    values: dict[str, Any] = {
        "showing_id": "showing_1",
        "board": "memory",
        "pair_id": "pair_1",
        "is_swapped": False,
        "purpose": Purpose.VOTE,
        "repeats": None,
        "num_votes": 3,
        "num_agreeing": None,
        "priority": 0.0,
        "is_withdrawn": False,
    }
    return Showing(**(values | override))


def vote(**override: Any) -> Vote:
    values: dict[str, Any] = {
        "pair_id": "pair_1",
        "annotator": "ann_1",
        "origin": Origin.HUMAN,
        "outcome": Outcome.A,
        "is_known": True,
        "purpose": Purpose.VOTE,
        "is_swapped": False,
        "face": None,
        "quality": None,
        "align": None,
        "cast_at": "2026-01-01T00:00:00Z",
        "seconds": 9.5,
        "comment": None,
        "raw": "{}",
    }
    values |= override
    values.setdefault("vote_id", ids.make("vote", values["pair_id"], values["annotator"], values["cast_at"]))
    return Vote(**values)


def gold(**override: Any) -> Gold:
    values: dict[str, Any] = {"pair_id": "pair_1", "outcome": Outcome.A, "source": "a file"}
    return Gold(**(values | override))


def vote_event(**override: Any) -> VoteEvent:
    """The event by which `vote` was cast, unless something else is said."""
    values: dict[str, Any] = {
        "event_id": "event_1",
        "collection": 1,
        "board": "memory",
        "task": 1,
        "answer": 11,
        "kind": EventKind.CAST,
        "vote_id": vote().vote_id,
        "showing_id": "showing_1",
        "pair_id": "pair_1",
        "annotator": "ann_1",
        "outcome": Outcome.A,
        "is_skip": False,
        "problem": None,
        "at": "2026-01-01T00:00:00Z",
        "raw": "{}",
    }
    return VoteEvent(**(values | override))


def watermark(**override: Any) -> Watermark:
    values: dict[str, Any] = {"board": "memory", "mark": "1", "reconciled_at": None}
    return Watermark(**(values | override))


def pair_task(**override: Any) -> PairTask:
    values: dict[str, Any] = {
        "showing_id": "showing_1",
        "prompt": "She waves.",
        "references": ("face.png",),
        "video_a": "left.mp4",
        "video_b": "right.mp4",
        "dealing": Dealing(),
    }
    return PairTask(**(values | override))


def answer(**override: Any) -> Answer:
    """One that says nothing; `annotate.interface.result_of` gives a result that does."""
    values: dict[str, Any] = {
        "id": 11,
        "task": 1,
        "completed_by": 7,
        "result": (),
        "created_at": "2026-01-01T10:00:00Z",
        "updated_at": "2026-01-01T10:00:05Z",
        "lead_time": 9.5,
        "was_cancelled": False,
    }
    return Answer(**(values | override))
