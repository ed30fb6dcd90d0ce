"""Profile `opens2v` over a small data set in OpenS2V's layout: what came is used, and every row is accounted for."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from flows.cli import likeness
from flows.settings import Settings
from flows.stages.encode import encode
from tests import opens2v
from tests.opens2v import changed, rectangle
from tests.people import Picture, side_by_side

LEFT, RIGHT = rectangle(10, 20, 140, 160), rectangle(180, 20, 310, 160)


def answered(*arguments: str | Path) -> str:
    result = CliRunner().invoke(likeness, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def rows(question: str) -> list[Any]:
    with Settings.read().warehouse.session() as session:
        return session.execute(question).fetchall()


def moving() -> list[Picture]:
    """Two people before a camera that is not held still."""
    return [np.roll(side_by_side(0, 3), (number % 3) - 1, axis=0) for number in range(36)]


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """One film, and five rows that speak of it."""
    root = tmp_path / "OpenS2V-5M"
    (root / "Videos/total_part1").mkdir(parents=True)
    (root / "Jsons/mask_and_bbox").mkdir(parents=True)
    (root / "Videos/total_part1/film_part2.mp4").write_bytes(encode(moving(), frame_rate=Fraction(24)))
    named = [("person", LEFT), ("woman", LEFT), ("man", RIGHT), ("blue top", RIGHT)]
    good = opens2v.row(*named, frame=13, face_cut=[13, 36])
    part = {
        "film_part2_step1-0-36_step2-13-36": good,
        "film_part2_step1-0-36_step2-2-36": changed(good, "metadata.aesthetic", 3.5),
        "film_part2_step1-0-95": opens2v.row(*named, face_cut=[0, 95]),
        "film_part2_step1-0-12": "None",
        "film_part2_step1-0-14": opens2v.row(face_cut=[0, 14]),
    }
    (root / "Jsons/mask_and_bbox/total_part1.json").write_text(json.dumps(part))
    return root


def test_a_data_sets_own_cuts_scores_and_masks_are_taken_and_each_row_ends_with_its_reason(data_set: Path) -> None:
    answered("ingest", "--source", data_set)
    answered("curate", "--profile", "opens2v")
    assert answered("check", "--profile", "opens2v")
    stages = {row["stage"]: row for row in json.loads(answered("funnel", "--profile", "opens2v", "--json"))["stages"]}
    assert stages["annotations"]["dropped_by"] == {"aesthetic": 1, "faces_given": 1, "masks_given": 1}
    assert stages["shots"]["failed_by"] == {"span outside the video": 1}
    assert rows("SELECT start_frame, end_frame FROM clip") == [(13, 36)]
    assert rows("SELECT subject_index, phrase, key_frame, box_px FROM subject ORDER BY 1") == [
        (0, "woman", 13, [10, 20, 140, 160]),
        (1, "man", 13, [180, 20, 310, 160]),
    ]
    assert rows("SELECT num_subjects, count_agreement, mask_origin FROM fact_subjects") == [(2, True, "opens2v")]
