"""One self-contained HTML page from what a run left behind: nothing on it is fetched, nothing on it runs."""

from collections.abc import Sequence
from functools import cache

import jinja2

from annotate.annotators import Block
from flows.report import charts
from flows.report.content import Picture, Quarantine, ReportData, StageRow

NOUNS = {"source": "Source videos", "clip": "Clips", "candidate": "Candidates"}
KINDS = {
    "original_vs_generated": "The original against one made from it",
    "generated_vs_generated": "Two made from the same original",
}
VOTERS = {"human": "human", "vlm": "model", "simulated": "simulated"}
OUTCOMES = {"A": "A is better", "tie": "a tie", "B": "B is better"}


def render(data: ReportData) -> str:
    """The whole page. The same data give the same text."""
    return (
        _environment()
        .get_template("page.html")
        .render(data=data, sections=_sections(data), groups=_groups(data.stages))
    )


def render_quarantine(data: Quarantine) -> str:
    """The page of what failed."""
    return _environment().get_template("quarantine.html").render(data=data)


def counted(num: int, noun: str = "") -> str:
    """`1,234 clips`, `1 clip`, `1,234`."""
    return f"{num:,} {plural(num, noun)}" if noun else f"{num:,}"


def plural(num: int, noun: str) -> str:
    """The noun in the number that fits: `policies` for `policy`, `people` for `person`."""
    if num == 1:
        return noun
    if noun.endswith("person"):
        return noun.removesuffix("person") + "people"
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"


def shown_of(num_shown: int, num: int) -> str:
    """`all 3`, or `12 of 4,310`."""
    return f"all {num:,}" if num_shown == num > 1 else f"{num_shown:,} of {num:,}"


def share(part: int, whole: int) -> str:
    """`62%`; a dash where there is no whole."""
    return f"{100 * part / whole:.0f}%" if whole else "-"


def percent(value: float | None) -> str:
    """`62%`; a dash where it is unknown."""
    return "-" if value is None else f"{100 * value:.0f}%"


def over_time(blocks: Sequence[Block]) -> list[float | None]:
    """The agreement in each block of votes."""
    return [block.agreement.share if block.agreement else None for block in blocks]


def p_value(value: float) -> str:
    """`0.34`, or `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def decimal(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def short(item_id: str) -> str:
    """An id that a person can compare by eye: its noun and the first 8 digits."""
    noun, _, digits = item_id.rpartition("_")
    return f"{noun} {digits[:8]}".strip().replace("_", " ")


def _sections(data: ReportData) -> Sequence[tuple[str, str, bool]]:
    """Anchor, title and whether there is anything in it, in the order of the page."""
    return (
        ("summary", "What happened", True),
        ("arrivals", "What arrived", bool(data.arrivals)),
        ("funnel", "The funnel", bool(data.stages)),
        ("failed", "What failed", bool(data.failures)),
        ("dropped", "What was dropped", bool(data.sheets)),
        ("people", "The people", bool(data.scenes)),
        ("pairs", "Pairs and votes", bool(data.pairs)),
        ("labels", "Labels", data.labels is not None),
        ("agreement", "Agreement", data.agreement is not None),
        ("reward", "Reward model", data.reward is not None),
        ("policy", "Policy", data.policy is not None),
        ("lineage", "Lineage", bool(data.lineage)),
        ("reproduce", "Do it again", True),
    )


def _groups(stages: Sequence[StageRow]) -> Sequence[tuple[str, int, Sequence[StageRow]]]:
    """Stages in a row that take the same noun: its plain name, the most that ever entered, and the stages."""
    groups: list[tuple[str, list[StageRow]]] = []
    for stage in stages:
        if not groups or groups[-1][1][-1].noun != stage.noun:
            groups.append((NOUNS.get(stage.noun, stage.noun), []))
        groups[-1][1].append(stage)
    return [(name, max(row.num_in for row in rows), rows) for name, rows in groups]


def _style_of(picture: Picture) -> str:
    return f"aspect-ratio: {picture.width_px} / {picture.height_px}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("flows.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "counted": counted,
        "plural": plural,
        "share": share,
        "decimal": decimal,
        "percent": percent,
        "p_value": p_value,
        "over_time": over_time,
        "short": short,
        "style_of": _style_of,
    }
    environment.globals |= {
        "bar": charts.bar,
        "curves": charts.curves,
        "spark": charts.spark,
        "whiskers": charts.whiskers,
        "outlines": charts.outlines,
        "shown_of": shown_of,
        "KINDS": KINDS,
        "OUTCOMES": OUTCOMES,
        "VOTERS": VOTERS,
    }
    return environment
