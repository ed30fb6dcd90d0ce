"""`likeness freeze`: settled pairs, with all that training needs to know of them, become a snapshot."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from annotate.pairing import split_of_clip, splits_by_identity
from flows.collect import policy_of
from flows.generate import identities_of_clips
from flows.recipe import Recipe
from flows.settings import Settings
from warehouse import gates, queries, snapshot, tables
from warehouse.database import Session
from warehouse.errors import NothingToDo
from warehouse.records import Outcome
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
            ("sha256", pa.string()),
            ("identity_score", pa.float64()),
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
        ]
    ),
}
