"""The part of a report on agreement and on the quality of each annotator, of the origin whose labels training takes."""

import math
from collections.abc import Sequence

import numpy as np

from annotate.agreement import Matrix
from annotate.annotators import Block, Quality
from flows.agreement import Findings, measure
from flows.recipe import Recipe
from flows.report.agreement_content import AgreementPart, Heat
from flows.report.charts import Curve
from warehouse.database import Session

MOST_ANNOTATORS = 60
MOST_IN_MATRIX = 16
MOST_DIFFERENCES = 30


def part(session: Session, recipe: Recipe, dataset: str | None) -> AgreementPart | None:
    """None where nobody has voted yet."""
    found = measure(session, recipe, dataset=dataset)
    return _part(found) if found else None


def _part(found: Findings) -> AgreementPart:
    blocks = found.learning
    return AgreementPart(
        origin=found.origin.value,
        num_counted=found.num_counted,
        num_repeats=found.num_repeats,
        num_gold=found.num_gold,
        too_fast_s=found.too_fast_s,
        overall=found.agreement,
        without_flagged=found.agreement_without_flagged,
        annotators=tuple(sorted(found.annotators, key=_rank)[:MOST_ANNOTATORS]),
        num_annotators=len(found.annotators),
        left_out=found.left_out,
        limits=found.limits,
        heat=_heat(found.matrix),
        learned_agreement=_curve(
            "agreement", [(block, block.agreement.share if block.agreement else None) for block in blocks]
        ),
        learned_seconds=_curve("seconds", [(block, block.seconds) for block in blocks]),
        methods=found.methods,
        differences=found.methods.differences[:MOST_DIFFERENCES],
    )


def _rank(each: Quality) -> tuple[bool, int, str]:
    return not each.flags, -each.num_votes, each.name


def _heat(matrix: Matrix) -> tuple[Heat, ...]:
    """Of the annotators with the most votes, by name."""
    busiest = np.argsort(-np.diag(matrix.num_shared_AA), kind="stable")[:MOST_IN_MATRIX]
    places = sorted(int(place) for place in busiest)

    def cell(row: int, column: int) -> tuple[float, int] | None:
        share = float(matrix.share_AA[row, column])
        return None if row == column or math.isnan(share) else (share, int(matrix.num_shared_AA[row, column]))

    return tuple(
        Heat(name=matrix.annotators[row], cells=tuple(cell(row, column) for column in places)) for row in places
    )


def _curve(name: str, values: Sequence[tuple[Block, float | None]]) -> tuple[Curve, ...]:
    """One line through the blocks' values, at their first vote; none where there are fewer than two."""
    points = [(float(block.start), value) for block, value in values if value is not None]
    return (Curve(name=name, points=tuple(points)),) if len(points) > 1 else ()
