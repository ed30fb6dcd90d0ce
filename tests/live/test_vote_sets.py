"""Our statistics on real votes, equal to `votes/reference_stats.json` in every digit that it gives."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from annotate.agreement import Agreement, agreement, matrix
from annotate.annotators import qualities
from annotate.dawid_skene import estimate
from annotate.labels import DawidSkenePolicy, MajorityPolicy, Tally
from annotate.limits import Limits
from annotate.vote_columns import VoteColumns
from tests import factories
from warehouse.records import Outcome, Vote

pytestmark = pytest.mark.live

MISSING = ""
SETS = ("hd_uhd", "sigir2010_melody", "pandalm", "cems")
NAMES = {"krippendorff_alpha_nominal": "alpha", "fleiss_kappa": "kappa", "pairwise_percent_agreement": "share"}


@pytest.fixture
def folder(media_root: Path) -> Path:
    found = media_root / "votes"
    if not (found / "reference_stats.json").is_file():
        pytest.fail(f"{found}: no vote sets there; set LIKENESS_MEDIA to a folder that has them")
    return found


def read(folder: Path, name: str) -> dict[str, list[Vote]]:
    """The votes of a set by its groups; `` where it has none. A row without a vote is one without outcome."""
    groups: dict[str, list[Vote]] = {}
    with (folder / "normalised" / f"{name}.csv").open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            vote = factories.vote(
                vote_id=f"vote_{number:05}",
                pair_id=row["item_id"],
                annotator=row["annotator_id"],
                outcome=Outcome(row["vote"]) if row["vote"] in set(Outcome) else None,
            )
            assert vote.outcome is not None or row["vote"] == MISSING
            groups.setdefault(row.get("group") or "", []).append(vote)
    return groups


def reference(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "reference_stats.json").read_text())
    return found


def assert_equal(found: Agreement, expected: dict[str, float]) -> None:
    """To the six digits of the file."""
    assert found.num_pairs == expected["units"]
    for theirs, ours in NAMES.items():
        if theirs in expected:
            assert round(getattr(found, ours), 6) == expected[theirs], theirs
    assert ("fleiss_kappa" in expected) == (found.kappa is not None)
    assert found.alpha_low is not None and found.alpha is not None and found.alpha_high is not None
    assert found.alpha_low < found.alpha < found.alpha_high


@pytest.mark.parametrize("name", SETS)
def test_agreement_is_the_reference_s(folder: Path, name: str) -> None:
    expected = reference(folder)[name]
    votes = [vote for group in read(folder, name).values() for vote in group]
    assert (len(votes), sum(vote.outcome is None for vote in votes)) == (expected["rows"], expected["missing"])
    columns = VoteColumns.of(votes)
    assert (len(columns.pair_ids), len(columns.annotators)) == (expected["items"], expected["annotators"])
    assert_equal(agreement(columns), expected["agreement"])


def test_so_it_is_in_each_group_of_a_set(folder: Path) -> None:
    expected = reference(folder)["hd_uhd"]["agreement_by_group"]
    groups = read(folder, "hd_uhd")
    assert groups.keys() == expected.keys()
    for name, votes in groups.items():
        assert_equal(agreement(votes), expected[name])


def test_the_alphas_that_the_issue_names(folder: Path) -> None:
    alphas = {name: agreement(read(folder, name)[""]).alpha for name in ("pandalm", "sigir2010_melody")}
    assert {name: round(alpha or 0.0, 4) for name, alpha in alphas.items()} == {
        "pandalm": 0.8642,
        "sigir2010_melody": 0.2326,
    }


@pytest.mark.parametrize("name", SETS)
def test_the_matrix_adds_up_to_the_couples_of_votes(folder: Path, name: str) -> None:
    counted = VoteColumns.of(vote for group in read(folder, name).values() for vote in group).counted()
    found = matrix(counted)
    counts_PC = counted.counts()
    num_P = counts_PC.sum(axis=1)
    shared = sum(found.num_shared_AA[row, :row].sum() for row in range(len(found.annotators)))
    equal = sum(
        round(found.share_AA[row, column] * found.num_shared_AA[row, column])
        for row in range(len(found.annotators))
        for column in range(row)
        if found.num_shared_AA[row, column]
    )
    assert shared == (num_P * (num_P - 1)).sum() // 2
    assert equal == (counts_PC * (counts_PC - 1)).sum() // 2


def test_where_three_experts_agree_nobody_is_flagged_and_the_estimate_says_what_the_majority_says(folder: Path) -> None:
    columns = VoteColumns.of(read(folder, "pandalm")[""])
    assert not [each for each in qualities(columns, {}, Limits()) if each.flags]
    by_estimate = DawidSkenePolicy(posteriors=estimate(columns.counted()).posteriors())
    for pair_id, (num_a, num_tie, num_b) in zip(columns.pair_ids, columns.counted().counts().tolist(), strict=True):
        tally = Tally(pair_id=pair_id, num_a=num_a, num_tie=num_tie, num_b=num_b)
        assert by_estimate.decide(tally)[0] == MajorityPolicy().decide(tally)[0] is not None
