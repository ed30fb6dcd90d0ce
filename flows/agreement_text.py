"""What `likeness agreement` prints for a person."""

from collections.abc import Iterator

import numpy as np

from annotate.annotators import Quality
from annotate.shares import Share
from flows.agreement import Difference, Findings

MOST_IN_MATRIX = 12
"""Annotators; the rest is in the JSON."""
MOST_DIFFERENCES = 20


def agreement_text(found: Findings) -> str:
    """Tables, the most general first."""
    return "\n".join(
        [*_overall(found), "", *_annotators(found), "", *_flags(found), "", *_matrix(found), "", *_methods(found)]
    )


def _overall(found: Findings) -> Iterator[str]:
    all_ = found.agreement
    yield f"{found.num_counted:,} counted votes of origin {found.origin}, {found.num_votes:,} standing,"
    yield f"{found.num_repeats:,} of them about repeated pairs; labels settle under {found.policy}"
    if all_.share is None:
        yield "no pair has two counted votes: agreement is unknown"
        return
    yield f"couples of votes that agree   {all_.share:.4f}   over {all_.num_pairs:,} pairs"
    interval = f"   95 % {all_.alpha_low:.4f} to {all_.alpha_high:.4f}" if all_.alpha_low is not None else ""
    yield f"Krippendorff's alpha          {_number(all_.alpha)}{interval}"
    told = _number(all_.kappa) if all_.num_votes_a_pair else "unknown: pairs have different numbers of votes"
    yield f"Fleiss' kappa                 {told}"
    if (kept := found.agreement_without_flagged) is not None:
        yield f"alpha without the flagged     {_number(kept.alpha)}"


def _annotators(found: Findings) -> Iterator[str]:
    if not found.num_gold:
        yield "there is no gold pair"
    elif not any(each.gold for each in found.annotators):
        yield "no gold pair was voted on"
    head = ("annotator", "votes", "agree", "majority", "gold", "repeat", "swapped", "tie", "side A", "p", "s", "fast")
    rows = [head, *(_row(each) for each in found.annotators)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join(cells).rstrip()
    yield f"fast: votes in less than {found.too_fast_s:.2g} s; a dash: nothing to measure it on"


def _row(each: Quality) -> tuple[str, ...]:
    shares = (each.agreement, each.with_majority, each.gold, each.repeats, each.swapped_repeats, each.ties)
    side = (f"{each.side.share:.0%}", f"{each.side.p:.2g}") if each.side else ("-", "-")
    seconds = "-" if each.seconds is None else f"{each.seconds:.1f}"
    return (
        each.name + (" !" if each.flags else ""),
        f"{each.num_votes:,}",
        *map(_percent, shares),
        *side,
        seconds,
        _percent(each.too_fast),
    )


def _flags(found: Findings) -> Iterator[str]:
    flagged = [each for each in found.annotators if each.flags]
    if not flagged:
        yield f"nobody is flagged (limits {found.limits.digest})"
    for each in flagged:
        out = ", left out of the labels" if each.name in found.left_out else ""
        yield f"! {each.name}{out}: " + "; ".join(f"{flag.words} ({flag.limit})" for flag in each.flags)


def _matrix(found: Findings) -> Iterator[str]:
    matrix = found.matrix
    order = np.argsort(-np.diag(matrix.num_shared_AA), kind="stable")[:MOST_IN_MATRIX]
    yield "votes that equal another's, of those on shared pairs" + _of_all(len(order), len(matrix.annotators))
    width = max((len(matrix.annotators[place]) for place in order), default=0)
    yield " " * (width + 4) + "  ".join(f"{place + 1:>4}" for place in range(len(order)))
    for number, row in enumerate(order, 1):
        cells = [_cell(matrix.share_AA[row, column]) for column in order]
        yield f"{number:>2}  {matrix.annotators[row].ljust(width)}" + "  ".join(cells)


def _methods(found: Findings) -> Iterator[str]:
    methods = found.methods
    yield (
        f"of {methods.num_pairs:,} pairs {methods.majority} settles {methods.num_by_majority:,},"
        f" {methods.dawid_skene} {methods.num_by_dawid_skene:,}; {methods.num_opposed:,} of them differently"
    )
    if methods.is_doubtful:
        yield "they oppose each other often: look at some of these pairs before you choose between the two"
    if not methods.has_converged:
        yield f"Dawid and Skene's estimate still moved after {methods.num_iterations} iterations"
    shown = sorted(methods.differences, key=_is_half)[:MOST_DIFFERENCES]
    for each in shown:
        probabilities = " ".join(f"{value:.2f}" for value in each.posterior)
        votes = f"A {each.num_a}, tie {each.num_tie}, B {each.num_b}"
        yield (
            f"{each.pair_id}  votes {votes}  majority {each.majority or 'unsettled'},"
            f" Dawid-Skene {each.dawid_skene or 'unsettled'}  ({probabilities})"
        )
    if len(shown) < len(methods.differences):
        yield f"and {len(methods.differences) - len(shown):,} more that differ; --json lists all"


def _is_half(each: Difference) -> bool:
    """Whether only one of the two says anything: less telling than two that oppose each other."""
    return each.majority is None or each.dawid_skene is None


def _of_all(num: int, num_all: int) -> str:
    return "" if num == num_all else f" (the {num} of {num_all} annotators with the most votes)"


def _cell(value: float) -> str:
    return "   -" if np.isnan(value) else f"{100 * value:>3.0f}%"


def _percent(share: Share | None) -> str:
    return "-" if share is None else f"{share.share:.0%}"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
