"""`likeness agreement`: how far annotators agree, how good each of them is, what two ways of counting make of it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from annotate import agreement
from annotate.agreement import Agreement, Matrix
from annotate.annotators import Block, Quality, learning_curve, left_out, too_fast_s
from annotate.dawid_skene import DawidSkene
from annotate.labels import DawidSkenePolicy, Tally
from annotate.limits import Limits
from annotate.vote_columns import VoteColumns
from flows.cast_votes import Judged, cast_votes, judged
from flows.label_choice import LabelChoice, choice_of
from flows.recipe import Recipe
from warehouse.database import Session
from warehouse.records import Origin, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A pair of which the majority and Dawid and Skene say different things; None is not settled."""

    pair_id: str
    num_a: int
    num_tie: int
    num_b: int
    majority: Outcome | None
    dawid_skene: Outcome | None
    posterior: tuple[float, float, float]
    """Of A, tie and B."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Methods:
    """The majority beside Dawid and Skene, over every pair with a counted vote."""

    majority: str
    """Name of the policy."""
    dawid_skene: str
    num_pairs: int
    num_by_majority: int
    """Settled ones."""
    num_by_dawid_skene: int
    num_opposed: int
    """Settled by both, and differently."""
    num_iterations: int
    has_converged: bool
    differences: tuple[Difference, ...]
    """By pair id."""

    @property
    def is_doubtful(self) -> bool:
        """Whether the two oppose each other on more than a tenth of what they settle: what one takes for an answer the
        other takes for an error (so on the votes of `hd_uhd`, of which half are ties: the estimate sides with those
        who saw a difference)."""
        return 10 * self.num_opposed > min(self.num_by_majority, self.num_by_dawid_skene)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """Everything about the votes of one origin."""

    origin: Origin
    policy: str
    """Under which this origin's votes settle."""
    limits: Limits
    num_votes: int
    """That stand, counted or not."""
    num_counted: int
    num_repeats: int
    num_gold: int
    """Pairs whose answer is known, voted on or not."""
    too_fast_s: float
    agreement: Agreement
    agreement_without_flagged: Agreement | None
    """None: nobody is flagged."""
    annotators: tuple[Quality, ...]
    left_out: tuple[str, ...]
    """Flagged annotators, where the policy does without them."""
    matrix: Matrix
    learning: tuple[Block, ...]
    methods: Methods


def measure(
    session: Session, recipe: Recipe, *, origin: Origin | None = None, dataset: str | None = None
) -> Findings | None:
    """Of the votes of one origin, by default that of the recipe's labels; None: it cast none."""
    choice = choice_of(recipe)
    origin = origin or choice.origin
    votes = cast_votes(session, recipe, origin, dataset=dataset)
    return _findings(judged(session, choice, origin, votes), choice) if len(votes) else None


def _findings(found: Judged, choice: LabelChoice) -> Findings:
    counted, flagged = found.votes.counted(), left_out(found.annotators)
    return Findings(
        origin=found.origin,
        policy=choice.policy_of(found.origin).name,
        limits=choice.limits,
        num_votes=len(found.votes),
        num_counted=len(counted),
        num_repeats=int(found.votes.is_repeat.sum()),
        num_gold=found.num_gold,
        too_fast_s=too_fast_s(counted),
        agreement=agreement.of_counts(counted.counts()),
        agreement_without_flagged=agreement.of_counts(found.votes.counted(flagged).counts()) if flagged else None,
        annotators=found.annotators,
        left_out=tuple(flagged) if choice.is_without_flagged else (),
        matrix=agreement.matrix(counted),
        learning=learning_curve(found.votes),
        methods=_methods(found.kept(choice), found.estimate(choice), choice, found.origin),
    )


def _methods(kept: VoteColumns, estimate: DawidSkene, choice: LabelChoice, origin: Origin) -> Methods:
    posteriors = estimate.posteriors()
    majority = choice.majority_of(origin)
    likeliest = DawidSkenePolicy(
        min_posterior=(choice.of_all or DawidSkenePolicy()).min_posterior, posteriors=posteriors
    )
    rows = [
        Difference(
            pair_id=tally.pair_id,
            num_a=tally.num_a,
            num_tie=tally.num_tie,
            num_b=tally.num_b,
            majority=majority.decide(tally)[0],
            dawid_skene=likeliest.decide(tally)[0],
            posterior=posteriors[tally.pair_id],
        )
        for tally in _tallies(kept)
    ]
    return Methods(
        majority=majority.name,
        dawid_skene=likeliest.name,
        num_pairs=len(rows),
        num_by_majority=sum(row.majority is not None for row in rows),
        num_by_dawid_skene=sum(row.dawid_skene is not None for row in rows),
        num_opposed=sum(
            None not in (row.majority, row.dawid_skene) and row.majority != row.dawid_skene for row in rows
        ),
        num_iterations=estimate.num_iterations,
        has_converged=estimate.has_converged,
        differences=tuple(row for row in rows if row.majority != row.dawid_skene),
    )


def _tallies(kept: VoteColumns) -> Iterator[Tally]:
    """Of every pair with a vote."""
    for pair_id, (num_a, num_tie, num_b) in zip(kept.pair_ids, kept.counts().tolist(), strict=True):
        if num_a or num_tie or num_b:
            yield Tally(pair_id=pair_id, num_a=num_a, num_tie=num_tie, num_b=num_b)


def as_json(found: Findings) -> Mapping[str, Any]:
    """Everything, exactly; what is unknown is null."""
    plain = {name: getattr(found, name) for name in ("origin", "policy", "num_votes", "num_counted", "num_repeats")}
    plain |= {name: getattr(found, name) for name in ("num_gold", "too_fast_s", "left_out")}
    matrix = found.matrix
    return plain | {
        "limits": asdict(found.limits) | {"digest": found.limits.digest},
        "agreement": asdict(found.agreement),
        "agreement_without_flagged": asdict(kept) if (kept := found.agreement_without_flagged) else None,
        "annotators": [asdict(each) for each in found.annotators],
        "matrix": {
            "annotators": matrix.annotators,
            "num_shared": matrix.num_shared_AA.tolist(),
            "share": _known(matrix.share_AA.tolist()),
            "kappa": _known(matrix.kappa_AA.tolist()),
        },
        "learning_curve": [asdict(block) for block in found.learning],
        "methods": asdict(found.methods),
    }


def _known(rows: list[list[float]]) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in row] for row in rows]
