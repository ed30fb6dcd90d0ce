"""Near duplicates: clips that show the same as a clip that came before, under another name, size or encoding.

A stage of the flow `gather`: it looks at all clips together, so the committing side runs it and no worker does. First
come, first kept: a clip is compared with the first ones before it, so that its fact never changes when others arrive.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flows.stages.fingerprint import FingerprintFact
from flows.stages.stage import ClipItem, Done

Hashes = NDArray[np.uint64]
BANDS = 4
"""A hash is looked up by each of its 16-bit quarters: hashes that differ in up to three bits share one for sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesFact:
    is_first: bool
    """No clip before it shows the same."""
    twin_of: str | None
    """The first clip that shows the same; None: it is the first itself."""
    twin_share: float | None
    """Share of this clip's frames that the twin shows too; None: no twin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Compares the fingerprints of clips."""

    name: ClassVar[str] = "duplicates"
    version: ClassVar[int] = 1
    takes: ClassVar[type[ClipItem]] = ClipItem
    fact: ClassVar[type[DuplicatesFact]] = DuplicatesFact
    needs: ClassVar[Sequence[str]] = ("fingerprint",)

    max_bits: int = 3
    """Bits in which two frames' hashes may differ and still show the same, of 64. Of 59 real shots 58 are found again
    after halving and JPEG at quality 30; takes of one person in one room differ by 4 and more. Crops are not found
    (tests/bench/bench_duplicates.py)."""
    min_share: float = 0.75
    """Share of a clip's frames that must be found in the other, both ways."""
    max_bucket: int = 256
    """Clips that share a quarter of a hash beyond which it is too common to tell anything, such as a still's."""

    def gather(
        self,
        new: Mapping[str, FingerprintFact],
        old: Mapping[str, FingerprintFact],
        settled: Mapping[str, DuplicatesFact],
    ) -> Mapping[str, Done[DuplicatesFact]]:
        """Outcomes of the `new` clips by id; the `old` ones, `settled` before, came before all of them."""
        kept = sorted(clip_id for clip_id in old if settled[clip_id].is_first)
        ordered = [*kept, *sorted(new)]
        hashes = [_unsigned(old[clip_id] if clip_id in settled else new[clip_id]) for clip_id in ordered]
        first = list(range(len(ordered)))
        shares: dict[int, float] = {}
        for earlier, later in sorted(_alike(hashes, num_old=len(kept), max_bucket=self.max_bucket), key=_by_later):
            if first[later] != later or first[earlier] != earlier:
                continue
            share = shared(hashes[later], hashes[earlier], self.max_bits)
            if min(share, shared(hashes[earlier], hashes[later], self.max_bits)) >= self.min_share:
                first[later], shares[later] = earlier, share
        return {
            clip_id: Done(fact=_fact(ordered, place, first[place], shares.get(place)))
            for place, clip_id in enumerate(ordered[len(kept) :], start=len(kept))
        }


def shared(hashes: Hashes, other: Hashes, max_bits: int) -> float:
    """Share of the frames of one clip that another shows too."""
    if not len(hashes) or not len(other):
        return 0.0
    distances = np.bitwise_count(hashes[:, None] ^ other[None, :])
    return float((distances.min(1) <= max_bits).mean())


def _fact(ordered: Sequence[str], place: int, first: int, share: float | None) -> DuplicatesFact:
    is_first = first == place
    return DuplicatesFact(is_first=is_first, twin_of=None if is_first else ordered[first], twin_share=share)


def _unsigned(fact: FingerprintFact) -> Hashes:
    return np.array(fact.hashes, np.int64).view(np.uint64)


def _by_later(pair: tuple[int, int]) -> tuple[int, int]:
    return pair[1], pair[0]


def _alike(hashes: Sequence[Hashes], *, num_old: int, max_bucket: int) -> set[tuple[int, int]]:
    """Pairs (earlier, later) of clips that share a quarter of a hash, the later one new."""
    clips = np.repeat(np.arange(len(hashes)), [len(each) for each in hashes])
    words = np.concatenate([*hashes, np.empty(0, np.uint64)])
    found: set[tuple[int, int]] = set()
    for band in range(BANDS):
        quarters = (words >> np.uint64(16 * band)).astype(np.uint16)
        for bucket in _buckets(quarters, clips):
            if 1 < len(bucket) <= max_bucket and bucket[-1] >= num_old:
                found.update(pair for pair in combinations(bucket.tolist(), 2) if pair[1] >= num_old)
    return found


def _buckets(quarters: NDArray[np.uint16], clips: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The clips that share a quarter, ascending, for each quarter."""
    order = np.lexsort((clips, quarters))
    quarters, clips = quarters[order], clips[order]
    for group in np.split(clips, np.flatnonzero(np.diff(quarters)) + 1):
        yield np.unique(group)
