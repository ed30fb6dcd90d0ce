"""`likeness agreement`, from a warehouse's votes to what a person and a program read."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from flows.cli import likeness
from tests.storage.test_settle import put
from tests.vote_sets import drawn
from warehouse import tables
from warehouse.board_records import Gold
from warehouse.database import Warehouse
from warehouse.records import Origin, Outcome

PEOPLE = '[labels]\norigin = "human"\n'
RIGHT = [0.95, 0.95, 0.9, 0.2]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """Four people, of whom one is mostly wrong; votes of three simulated ones; gold that everybody answered."""
    found = Warehouse.at(tmp_path / "votes.duckdb")
    votes, truth_P = drawn(120, RIGHT, votes_a_pair=4)
    with found.transaction() as session:
        put(session, votes)
        put(session, drawn(30, [0.9] * 3, seed=1)[0], Origin.SIMULATED)
        gold = [
            Gold(pair_id=f"pair_{place}", outcome=list(Outcome)[truth_P[place]], source="test") for place in range(40)
        ]
        tables.insert(session, "gold", tables.to_arrow(Gold, gold))
    return found


def asked(warehouse: Warehouse, tmp_path: Path, *arguments: str, labels: str = PEOPLE) -> Result:
    profile = tmp_path / "people.toml"
    profile.write_text(f'extends = "embedded"\n{labels}')
    where = ["--warehouse", str(warehouse.path), "--profile", str(profile)]
    return CliRunner().invoke(likeness, ["agreement", *where, *arguments])


def test_json_is_exact_and_whole(warehouse: Warehouse, tmp_path: Path) -> None:
    result = asked(warehouse, tmp_path, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    counts_PC = drawn(120, RIGHT, votes_a_pair=4)[0].counts()
    assert (found["origin"], found["num_counted"], found["agreement"]["num_pairs"]) == ("human", 480, 120)
    assert found["agreement"]["share"] == pytest.approx(np.mean((counts_PC * (counts_PC - 1)).sum(axis=1) / 12))
    assert found["agreement"]["alpha_low"] < found["agreement"]["alpha"] < found["agreement"]["alpha_high"]
    assert found["agreement_without_flagged"]["alpha"] > found["agreement"]["alpha"]
    (wrong,) = [each for each in found["annotators"] if each["flags"]]
    assert (wrong["name"], wrong["num_votes"], wrong["gold"]["num"]) == ("ann_3", 120, 40)
    assert {flag["limit"] for flag in wrong["flags"]} == {"agreement_min", "gold_accuracy_min"}
    assert found["left_out"] == []
    assert found["matrix"]["num_shared"] == [[120] * 4] * 4
    assert found["matrix"]["share"][0][0] is None
    assert found["methods"]["num_pairs"] == 120
    assert all(each["majority"] != each["dawid_skene"] for each in found["methods"]["differences"])


def test_a_person_reads_a_table_and_why_somebody_is_flagged(warehouse: Warehouse, tmp_path: Path) -> None:
    result = asked(warehouse, tmp_path)
    lines = result.stdout.splitlines()
    assert lines[0] == "480 counted votes of origin human, 480 standing,"
    assert next(line for line in lines if line.startswith("Krippendorff's alpha")).split()[2].startswith("0.")
    assert any(line.startswith("ann_3 !") for line in lines)
    assert any(line.startswith("! ann_3: agrees with the others") and "(gold_accuracy_min)" in line for line in lines)
    assert any(line.startswith("of 120 pairs majority_of_3 settles") for line in lines)


def test_those_left_out_are_said_where_the_policy_does_without_them(warehouse: Warehouse, tmp_path: Path) -> None:
    labels = PEOPLE + "without_flagged = true\n"
    assert json.loads(asked(warehouse, tmp_path, "--json", labels=labels).stdout)["left_out"] == ["ann_3"]
    assert "! ann_3, left out of the labels: " in asked(warehouse, tmp_path, labels=labels).stdout
    strict = labels + "[labels.limits]\nmin_votes = 121\n"
    assert json.loads(asked(warehouse, tmp_path, "--json", labels=strict).stdout)["left_out"] == []
    assert "nobody is flagged" in asked(warehouse, tmp_path, labels=strict).stdout


def test_each_origin_is_asked_for_by_name_and_one_without_votes_says_so(warehouse: Warehouse, tmp_path: Path) -> None:
    simulated = json.loads(asked(warehouse, tmp_path, "--json", "--origin", "simulated").stdout)
    assert (simulated["origin"], simulated["num_counted"]) == ("simulated", 90)
    nobody = asked(warehouse, tmp_path, "--origin", "vlm")
    assert (nobody.exit_code, nobody.stdout) == (8, "")
    assert "nobody of this origin has voted yet" in nobody.stderr


def test_without_gold_the_table_says_that_there_is_none(warehouse: Warehouse, tmp_path: Path) -> None:
    with warehouse.transaction() as session:
        session.execute("DELETE FROM gold WHERE pair_id <> 'pair_1'; DELETE FROM vote WHERE pair_id = 'pair_1'")
    assert "no gold pair was voted on" in asked(warehouse, tmp_path).stdout
    with warehouse.transaction() as session:
        session.execute("DELETE FROM gold")
    assert "there is no gold pair" in asked(warehouse, tmp_path).stdout
