"""A world of face vectors: people, what distortions do to their faces, and annotators with opinions. As in `flows`,
but drawn in the recogniser's space, so that thousands of pairs take seconds.

The space is like dlib's: all faces share a large common part, two people are 0.6 apart where the same person's frames
are about 0.2, and blur pulls a face towards the common part.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from warehouse import snapshot
from warehouse.media import MediaStore
from warehouse.snapshot import Snapshot

Floats = NDArray[np.float64]
LENGTH = 128
NUM_LOOKED = 8
UTILITY = {
    "original": 0.0,
    "identity_drift": -3.0,
    "identity_swap": -4.0,
    "identity_warp": -3.0,
    "copy_paste": -3.0,
    "blur": -2.0,
    "freeze": -3.0,
}
"""What annotators think of a distortion at severity 1; the original is best."""


def freeze_world(folder: Path, *, seed: int = 0, num_clips: int = 24, num_people: int = 12) -> Snapshot:
    """A snapshot of pairs over clips of 1-3 people; the test clips show only people that no training clip shows."""
    rng = np.random.default_rng(seed)
    media = MediaStore(folder / "media")
    people = _people(rng, num_people)
    tables: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("pairs", "clips", "candidates", "references", "votes")
    }
    for number in range(num_clips):
        split = "test" if number % 3 == 2 else "train"
        known = range(num_people * 2 // 3) if split == "train" else range(num_people * 2 // 3, num_people)
        cast = rng.choice(np.array(known), size=rng.integers(1, 4), replace=False)
        _add_clip(tables, rng, people[cast], clip_id=f"clip_{number:03d}", split=split, media=media)
    typed = {name: pa.Table.from_pylist(rows, schema=SCHEMAS[name]) for name, rows in tables.items()}
    return snapshot.freeze(typed, root=folder / "snapshots", media=media, facts={"seed": seed})


def _people(rng: np.random.Generator, num_people: int) -> Floats:
    common = _unit(rng.standard_normal(LENGTH))
    return 1.3 * common + 0.42 * np.stack([_unit(rng.standard_normal(LENGTH)) for _ in range(num_people)])


def _add_clip(
    tables: dict[str, list[dict[str, Any]]],
    rng: np.random.Generator,
    cast: Floats,
    *,
    clip_id: str,
    split: str,
    media: MediaStore,
) -> None:
    looked = [6 * t for t in range(NUM_LOOKED)]
    base = np.stack([_performance(rng, person) for person in cast])
    references = np.stack([[take[NUM_LOOKED // 2] + _noise(rng, 0.1 * r) for r in range(3)] for take in base])
    sha256 = media.put(clip_id.encode())
    tables["clips"].append(
        {"clip_id": clip_id, "source_id": clip_id, "prompt": None, "split": split, "num_subjects": len(cast)}
    )
    for s, views in enumerate(references):
        for r, vector in enumerate(views):
            tables["references"].append(
                {
                    "reference_id": f"reference_{clip_id}_{s}_{r}", "clip_id": clip_id, "subject_id": f"{clip_id}_{s}",
                    "subject_index": s, "identity_id": None, "view": f"view {r}", "sha256": sha256,
                    "identity_score": None, "vector": vector.tolist(),
                }
            )  # fmt: skip
    made = list(_candidates(rng, base, references))
    for generator, severity, vectors in made:
        missed = rng.random(vectors.shape[:2]) < (0.3 * severity if generator == "blur" else 0.04)
        faces = [
            {"frame": looked[t], "subject_index": s, "vector": vectors[s, t].tolist()}
            for t in range(NUM_LOOKED)
            for s in range(len(cast))
            if not missed[s, t]
        ]
        tables["candidates"].append(
            {
                "candidate_id": f"candidate_{clip_id}_{generator}", "clip_id": clip_id, "generator": generator,
                "severity": severity, "sha256": sha256, "num_frames": 48, "frame_rate_num": 24, "frame_rate_den": 1,
                "width_px": 320, "height_px": 240, "faces": faces, "looked_frames": looked,
            }
        )  # fmt: skip
    tables["pairs"] += _pairs(rng, clip_id, split, [(name, severity) for name, severity, _ in made])


def _performance(rng: np.random.Generator, person: Floats) -> Floats:
    """(T, D): one person's vectors over a take: a slow change of pose, and each frame's own noise."""
    pose_a, pose_b = _noise(rng, 0.18), _noise(rng, 0.18)
    phase, pace = rng.uniform(0, 2 * math.pi), rng.uniform(2, 5)
    turns = phase + pace * np.linspace(0, 1, NUM_LOOKED)[:, None]
    return np.asarray(person + np.cos(turns) * pose_a + np.sin(turns) * pose_b + _noise(rng, 0.05, NUM_LOOKED))


def _candidates(rng: np.random.Generator, base: Floats, references: Floats) -> Iterator[tuple[str, float, Floats]]:
    """Name, severity and (S, T, D) vectors of the original and one draw of each distortion that applies."""
    time = np.linspace(0, 1, NUM_LOOKED)[None, :, None]
    common = base.mean((0, 1))
    elsewhere = np.stack([_noise(rng, 0.5) for _ in base])[:, None]
    coding = 0.01 * rng.standard_normal(base.shape) / math.sqrt(LENGTH)
    yield "original", 0.0, base
    for name in sorted(UTILITY.keys() - {"original"}):
        severity = float(rng.uniform(0.25, 1))
        if name == "identity_drift":
            yield name, severity, base + severity * time * elsewhere
        elif name == "identity_warp":
            yield name, severity, base + severity * elsewhere
        elif name == "identity_swap" and len(base) > 1:
            yield name, severity, base + severity * (np.roll(base, 1, axis=0) - base)
        elif name == "copy_paste":
            yield name, severity, base + (0.5 + severity / 2) * (references[:, :1] - base) + coding
        elif name == "blur":
            yield (
                name,
                severity,
                base + 0.35 * severity * (0.9 * common - base) + _noise(rng, 0.1 * severity, *base.shape[:2]),
            )
        elif name == "freeze":
            last = round((1 - severity) * (NUM_LOOKED - 1))
            yield name, severity, base[:, np.minimum(np.arange(NUM_LOOKED), last)] + coding


def _pairs(
    rng: np.random.Generator, clip_id: str, split: str, made: list[tuple[str, float]]
) -> Iterator[dict[str, Any]]:
    """Pairs of the clip's candidates, settled by three annotators, whose taste is `UTILITY` with noise."""
    for first in range(len(made)):
        for second in range(first + 1, len(made)):
            a, b = sorted([made[first], made[second]], key=lambda _: rng.random())
            gap = UTILITY[a[0]] * a[1] - UTILITY[b[0]] * b[1]
            votes = [0 if felt > 0.6 else 2 if felt < -0.6 else 1 for felt in gap + 0.4 * rng.standard_normal(3)]
            counts = np.bincount(votes, minlength=3)
            if counts.max() < 2:
                continue
            yield {
                "pair_id": f"pair_{clip_id}_{first}_{second}", "clip_id": clip_id, "prompt": None,
                "candidate_a": f"candidate_{clip_id}_{a[0]}", "candidate_b": f"candidate_{clip_id}_{b[0]}",
                "kind": "original_vs_generated" if first == 0 else "generated_vs_generated",
                "outcome": int(counts.argmax()), "num_votes": 3, "origin": "simulated", "policy": "majority",
                "split": split,
            }  # fmt: skip


def _noise(rng: np.random.Generator, size: float, *shape: int) -> Floats:
    return np.asarray(size * rng.standard_normal((*shape, LENGTH)) / math.sqrt(LENGTH))


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector))


TEXT, WHOLE, REAL, VECTOR = pa.string(), pa.int32(), pa.float64(), pa.list_(pa.float32())
FACE = pa.struct([("frame", WHOLE), ("subject_index", WHOLE), ("vector", VECTOR)])
SCHEMAS = {
    "pairs": pa.schema(
        [("pair_id", TEXT), ("clip_id", TEXT), ("prompt", TEXT), ("candidate_a", TEXT), ("candidate_b", TEXT),
         ("kind", TEXT), ("outcome", pa.int8()), ("num_votes", WHOLE), ("origin", TEXT), ("policy", TEXT),
         ("split", TEXT)]
    ),
    "clips": pa.schema(
        [("clip_id", TEXT), ("source_id", TEXT), ("prompt", TEXT), ("split", TEXT), ("num_subjects", WHOLE)]
    ),
    "candidates": pa.schema(
        [("candidate_id", TEXT), ("clip_id", TEXT), ("generator", TEXT), ("severity", REAL), ("sha256", TEXT),
         ("num_frames", WHOLE), ("frame_rate_num", pa.int64()), ("frame_rate_den", pa.int64()), ("width_px", WHOLE),
         ("height_px", WHOLE), ("faces", pa.list_(FACE)), ("looked_frames", pa.list_(WHOLE)), ("sharpness", REAL),
         ("flicker", REAL), ("motion", REAL)]
    ),
    "references": pa.schema(
        [("reference_id", TEXT), ("clip_id", TEXT), ("subject_id", TEXT), ("subject_index", WHOLE),
         ("identity_id", TEXT), ("view", TEXT), ("sha256", TEXT), ("identity_score", REAL), ("vector", VECTOR)]
    ),
    "votes": pa.schema(
        [("vote_id", TEXT), ("pair_id", TEXT), ("annotator", TEXT), ("origin", TEXT), ("outcome", TEXT),
         ("is_counted", pa.bool_())]
    ),
}  # fmt: skip
