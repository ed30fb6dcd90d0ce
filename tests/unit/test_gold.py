"""Gold answers: what a file may say, and what becomes of it beside earlier answers and the rule."""

import re
from pathlib import Path

import pytest

from annotate.probes import GoldRule
from flows.gold import ToldGold, new_gold, read_gold
from tests import factories
from warehouse.board_records import Gold
from warehouse.errors import BadInput
from warehouse.records import Outcome

RULE = GoldRule(generators=("identity_swap",), severity_min=0.9, share=1.0)
CANDIDATES = {
    "candidate_1": factories.candidate(generator="original"),
    "candidate_2": factories.candidate(candidate_id="candidate_2", generator="identity_swap", severity=1.0),
}
FILE = {"pair_1": Outcome.A, "pair_2": Outcome.TIE, "pair_3": Outcome.B}


def told(folder: Path, text: str, name: str = "gold.csv") -> tuple[ToldGold, ...]:
    (folder / name).write_text(text)
    return read_gold(folder / name)


def gold(pair_id: str, outcome: Outcome, source: str = "file: old.csv") -> Gold:
    return Gold(pair_id=pair_id, outcome=outcome, source=source)


def found(
    told: tuple[ToldGold, ...], *, known: tuple[Gold, ...] = (), rule: GoldRule | None = None
) -> dict[str, tuple[Outcome, str]]:
    pairs = [factories.pair(pair_id=f"pair_{number}") for number in range(1, 5)]
    new = new_gold(
        told,
        rule,
        known={each.pair_id: each for each in known},
        pair_ids={pair.pair_id for pair in pairs},
        pairs=pairs,
        candidates=CANDIDATES,
        seed=0,
    )
    return {each.pair_id: (each.outcome, each.source) for each in new}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gold.csv", "pair_id,outcome\npair_1,A\npair_2,tie\npair_3,B\n"),
        ("gold.csv", '\ufeffoutcome,pair_id\r\nA,"pair_1"\r\ntie,pair_2\r\n\r\nB,pair_3'),
        ("gold.jsonl", '{"pair_id":"pair_1","outcome":"A"}\n\n{"pair_id":"pair_2","outcome":"tie"}\n'
                       '{"outcome":"B","pair_id":"pair_3"}\n'),
    ],
)  # fmt: skip
def test_a_file_tells_an_outcome_a_pair(tmp_path: Path, name: str, text: str) -> None:
    assert {each.gold.pair_id: each.gold.outcome for each in told(tmp_path, text, name)} == FILE
    assert {each.gold.source for each in told(tmp_path, text, name)} == {f"file: {name}"}


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("gold.csv", "pair_id,outcome\npair_1,A\npair_2,C\n", "line 3: outcome is 'C'; take one of A, tie, B"),
        ("gold.csv", "pair_id,outcome\npair_1,a\n", "line 2: outcome is 'a'"),
        ("gold.csv", "pair_id,outcome\npair_1,A,surely\n", "line 2: found"),
        ("gold.csv", "pair_id,outcome\npair_1\n", "line 2: outcome is None"),
        ("gold.csv", "pair_id,outcome\n,A\n", "line 2: found"),
        ("gold.csv", 'pair_id,outcome\n"pair_1"x,A\n', "line 2: ',' expected after '\"'; check its quotes"),
        ("gold.csv", "pair,answer\npair_1,A\n", "line 1: columns are ['pair', 'answer']"),
        ("gold.csv", "", "line 1: columns are None"),
        ("gold.csv", "pair_id,outcome\n", "no gold answer in it"),
        ("gold.csv", "pair_id,outcome\npair_1,A\npair_2,B\npair_1,A\n", "line 4: pair_1 stands in"),
        ("gold.jsonl", '{"pair_id":"pair_1","outcome":"A"}\nA\n', "line 2: Expecting value"),
        ("gold.jsonl", '["pair_1","A"]\n', 'line 1: found \'["pair_1","A"]\''),
        ("gold.jsonl", '{"pair_id":1,"outcome":"A"}\n', "line 1: found"),
        ("gold.jsonl", '{"pair_id":"pair_1","outcome":["A"]}\n', "line 1: outcome is ['A']"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_its_line(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(complaint)):
        told(tmp_path, text, name)


def test_a_file_of_another_encoding_or_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gold.csv").write_bytes(b"pair_id,outcome\npair_1,A\npair_\xe9,A\n")
    with pytest.raises(BadInput, match="line 3: is no UTF-8"):
        read_gold(tmp_path / "gold.csv")
    with pytest.raises(BadInput, match="no such gold file"):
        read_gold(tmp_path / "none.csv")


def test_a_pair_that_nobody_drew_is_refused(tmp_path: Path) -> None:
    lines = told(tmp_path, "pair_id,outcome\npair_1,A\npair_9,A\n")
    with pytest.raises(BadInput, match=r"gold.csv, line 3: pair_9 is no pair of this warehouse"):
        found(lines)


def test_what_is_known_already_stays_as_it_was_and_is_not_to_be_contradicted(tmp_path: Path) -> None:
    lines = told(tmp_path, "pair_id,outcome\npair_1,A\npair_2,B\n")
    assert found(lines, known=(gold("pair_1", Outcome.A),)) == {"pair_2": (Outcome.B, "file: gold.csv")}
    with pytest.raises(BadInput, match=r"line 3: pair_2 is B here and A by file: old.csv"):
        found(lines, known=(gold("pair_2", Outcome.A),))


def test_a_file_goes_before_the_rule_and_the_rule_never_changes_what_is_known(tmp_path: Path) -> None:
    lines = told(tmp_path, "pair_id,outcome\npair_2,tie\n")
    by_rule = (Outcome.A, "rule: the original against identity_swap of severity 0.9 and more")
    assert found(lines, rule=RULE, known=(gold("pair_1", Outcome.B),)) == {
        "pair_2": (Outcome.TIE, "file: gold.csv"),
        "pair_3": by_rule,
        "pair_4": by_rule,
    }
