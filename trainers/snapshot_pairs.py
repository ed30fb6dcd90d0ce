"""From a frozen snapshot to tensors: what was measured of every candidate, and the settled pairs between them."""
# Shape letters: B candidates, S subjects, T looked frames, R references a subject, D vector, Q qualities, P pairs.

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import pyarrow as pa
import torch
from torch import Tensor

from warehouse.errors import SnapshotDamaged
from warehouse.snapshot import Snapshot

QUALITIES = ("sharpness", "flicker", "motion")
"""Columns of the candidates' table: double, null where not measured; a snapshot may lack them."""


class EvidenceTables(Protocol):
    """What is asked of a snapshot: `warehouse.snapshot.Snapshot` has it."""

    @property
    def id(self) -> str: ...

    def table(self, name: str) -> pa.Table: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What was measured of one candidate, beside its clip's references; or of a batch, with B in front of each."""

    vector_STD: Tensor
    """Identity vectors, fp32; 0 where no face was read."""
    is_seen_ST: Tensor
    reference_SRD: Tensor
    has_reference_SR: Tensor
    """False also for a reference in which no face could be read."""
    position_T: Tensor
    """Of the looked frame in the candidate: 0 first, 1 last."""
    has_frame_T: Tensor
    """False only for the padding of a batch."""
    quality_Q: Tensor
    """`QUALITIES`, each in its own unit, 0 or more; NaN where not measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairSet:
    """The settled pairs of one split."""

    pair_ids: tuple[str, ...]
    clip_ids: tuple[str, ...]
    """Of each pair: pairs of one clip are not independent."""
    side_a: tuple[int, ...]
    """Index into `evidence`."""
    side_b: tuple[int, ...]
    outcome_P: Tensor
    """0 A, 1 tie, 2 B; int64."""
    evidence: tuple[Evidence, ...]

    def __len__(self) -> int:
        return len(self.pair_ids)


def read_pairs(snapshot: Snapshot, split: str) -> PairSet:
    """The pairs of `train` or `test`, in the order of their ids, with the evidence on the candidates they name."""
    pairs = snapshot.pairs(split).to_pylist()
    named = sorted({pair[side] for pair in pairs for side in ("candidate_a", "candidate_b")})
    index = {candidate_id: i for i, candidate_id in enumerate(named)}
    return PairSet(
        pair_ids=tuple(pair["pair_id"] for pair in pairs),
        clip_ids=tuple(pair["clip_id"] for pair in pairs),
        side_a=tuple(index[pair["candidate_a"]] for pair in pairs),
        side_b=tuple(index[pair["candidate_b"]] for pair in pairs),
        outcome_P=torch.tensor([pair["outcome"] for pair in pairs], dtype=torch.int64),
        evidence=tuple(read_evidence(snapshot, named)),
    )


def read_evidence(snapshot: EvidenceTables, candidate_ids: Sequence[str]) -> list[Evidence]:
    """What is known of these candidates, in the order given."""
    num_subjects = {row["clip_id"]: row["num_subjects"] for row in snapshot.table("clips").to_pylist()}
    references: dict[str, list[Mapping[str, Any]]] = {}
    for row in snapshot.table("references").to_pylist():
        references.setdefault(row["clip_id"], []).append(row)
    wanted = set(candidate_ids)
    candidates = {
        row["candidate_id"]: row
        for batch in snapshot.table("candidates").to_batches(max_chunksize=256)
        for row in batch.to_pylist()
        if row["candidate_id"] in wanted
    }
    if lost := sorted(wanted - candidates.keys()):
        raise SnapshotDamaged(f"snapshot {snapshot.id}: {lost[0]} is in a pair and not among the candidates")
    length = _vector_length(candidates.values(), references)
    return [
        _evidence(row, references.get(row["clip_id"], ()), num_subjects[row["clip_id"]], length)
        for row in map(candidates.__getitem__, candidate_ids)
    ]


def collate(evidence: Sequence[Evidence]) -> Evidence:
    """One batch, padded to the most subjects, frames and references among them."""
    return Evidence(
        **{field.name: _padded([getattr(one, field.name) for one in evidence]) for field in fields(Evidence)}
    )


def _evidence(
    row: Mapping[str, Any], references: Sequence[Mapping[str, Any]], num_subjects: int, length: int
) -> Evidence:
    reference_SRD, has_reference_SR = _references(references, num_subjects, length)
    frames = {frame: t for t, frame in enumerate(row["looked_frames"])}
    vector_STD = torch.zeros(num_subjects, len(frames), length)
    is_seen_ST = torch.zeros(num_subjects, len(frames), dtype=torch.bool)
    for face in row["faces"]:
        place = face["subject_index"], frames[face["frame"]]
        vector_STD[place], is_seen_ST[place] = torch.tensor(face["vector"]), True
    return Evidence(
        vector_STD=vector_STD,
        is_seen_ST=is_seen_ST,
        reference_SRD=reference_SRD,
        has_reference_SR=has_reference_SR,
        position_T=torch.tensor(list(frames), dtype=torch.float32) / max(row["num_frames"] - 1, 1),
        has_frame_T=torch.ones(len(frames), dtype=torch.bool),
        quality_Q=torch.tensor([math.nan if row.get(name) is None else row[name] for name in QUALITIES]),
    )


def _references(rows: Sequence[Mapping[str, Any]], num_subjects: int, length: int) -> tuple[Tensor, Tensor]:
    """(S, R, D) and (S, R)."""
    of_subject: list[list[list[float]]] = [[] for _ in range(num_subjects)]
    for row in rows:
        if row["vector"] is not None:
            of_subject[row["subject_index"]].append(row["vector"])
    most = max(map(len, of_subject), default=0)
    reference_SRD = torch.zeros(num_subjects, most, length)
    has_reference_SR = torch.zeros(num_subjects, most, dtype=torch.bool)
    for s, vectors in enumerate(of_subject):
        for r, vector in enumerate(vectors):
            reference_SRD[s, r], has_reference_SR[s, r] = torch.tensor(vector), True
    return reference_SRD, has_reference_SR


def _vector_length(candidates: Any, references: Mapping[str, Sequence[Mapping[str, Any]]]) -> int:
    lengths = {len(face["vector"]) for row in candidates for face in row["faces"]}
    lengths |= {len(row["vector"]) for rows in references.values() for row in rows if row["vector"] is not None}
    if len(lengths) > 1:
        raise SnapshotDamaged(f"identity vectors of lengths {sorted(lengths)}: two recognisers' are not comparable")
    return lengths.pop() if lengths else 1


def _padded(tensors: Sequence[Tensor]) -> Tensor:
    shape = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    batch = tensors[0].new_zeros(len(tensors), *(max(size, 1) for size in shape))
    for row, tensor in zip(batch, tensors, strict=True):
        row[tuple(slice(size) for size in tensor.shape)] = tensor
    return batch
