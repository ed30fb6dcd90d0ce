"""What a report shows of agreement: plain values, as in `content`."""

from dataclasses import dataclass

from annotate.agreement import Agreement
from annotate.annotators import Quality
from annotate.limits import Limits
from flows.agreement import Difference, Methods
from flows.report.charts import Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A row of the agreement matrix."""

    name: str
    cells: tuple[tuple[float, int] | None, ...]
    """Share of equal votes on so many shared pairs; None: none shared, or the annotator's own column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementPart:
    """How far annotators of one origin agree, and how good each of them is."""

    origin: str
    num_counted: int
    num_repeats: int
    num_gold: int
    """Pairs whose answer is known, voted on or not."""
    too_fast_s: float
    overall: Agreement
    without_flagged: Agreement | None
    """None: nobody is flagged."""
    annotators: tuple[Quality, ...]
    """Flagged ones first, then by votes; some of them, where there are many."""
    num_annotators: int
    left_out: tuple[str, ...]
    """Whose votes the labels do without."""
    limits: Limits
    heat: tuple[Heat, ...]
    learned_agreement: tuple[Curve, ...]
    """By the n-th vote; empty: votes have no times."""
    learned_seconds: tuple[Curve, ...]
    methods: Methods
    differences: tuple[Difference, ...]
    """Some of `methods.differences`."""
