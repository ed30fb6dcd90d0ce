"""Several generators as one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows import recipe as recipes
from flows.engines.ports import Generated, Request
from flows.engines.several import Several
from warehouse.errors import BadRecipe

REQUEST = Request(prompt="A man.", references=(), original=(), face_boxes=(), frame_rate=Fraction(8), seed=7)


@dataclass
class Painter:
    """Makes a video of one colour, and keeps what it was asked."""

    level: int
    num_videos: int = 1
    asked: list[Request] = field(default_factory=list)

    @property
    def revision(self) -> str:
        return f"painter-{self.level}"

    def generate(self, request: Request) -> Iterator[Generated]:
        self.asked.append(request)
        frames = (np.full((8, 8, 3), self.level, np.uint8),)
        for _ in range(self.num_videos):
            yield Generated(generator=self.revision, severity=None, frames=frames, frame_rate=request.frame_rate)


def test_each_generator_is_given_the_very_same_request_in_the_order_of_the_list() -> None:
    painters = [Painter(3), Painter(1, num_videos=2)]
    made = list(Several(generators=painters).generate(REQUEST))
    assert [video.generator for video in made] == ["painter-3", "painter-1", "painter-1"]
    assert all(painter.asked == [REQUEST] for painter in painters)


def test_videos_come_one_at_a_time() -> None:
    painters = [Painter(1), Painter(2)]
    next(Several(generators=painters).generate(REQUEST))
    assert (len(painters[0].asked), len(painters[1].asked)) == (1, 0)


def test_another_generator_or_another_order_is_another_revision() -> None:
    lists: list[list[Painter]] = [[Painter(1)], [Painter(2)], [Painter(1), Painter(2)], [Painter(2), Painter(1)]]
    assert len({Several(generators=each).revision for each in lists}) == 4


@pytest.mark.parametrize(
    ("generators", "complaint"), [([], "none is listed"), ([Painter(1), Painter(1)], "painter-1 is listed twice")]
)
def test_no_generator_or_the_same_twice_is_refused(generators: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Several(generators=generators)


# In a profile.


def table(*levels: int) -> dict[str, Any]:
    return {
        "use": "flows.engines.several:Several",
        "generators": [{"use": "tests.unit.test_several:Painter", "level": level} for level in levels],
    }


def test_a_profile_lists_engines_as_tables_in_a_list() -> None:
    built = recipes.build(table(1, 2))
    assert [painter.level for painter in built.generators] == [1, 2]


def test_a_list_of_plain_values_stays_one() -> None:
    assert recipes.build({"use": "tests.unit.test_several:Painter", "level": [1, [2]]}).level == [1, [2]]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (table(), "none is listed"),
        (table(1, 1), "listed twice"),
        ({"use": "flows.engines.several:Several", "generators": [{"level": 1}]}, "a stage without `use`"),
        ({"use": "flows.engines.several:Several", "generators": [{"use": "nowhere:Nobody"}]}, "nowhere:Nobody"),
    ],
)
def test_what_does_not_fit_in_such_a_list_is_refused_and_named(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadRecipe, match=complaint):
        recipes.build(given)


def test_one_generator_of_several_changed_makes_candidates_anew_and_nothing_before_them(tmp_path: Path) -> None:
    small = (Path(__file__).parents[1] / "pipeline" / "small.toml").read_text()
    line = next(line for line in small.splitlines() if line.startswith("generator = "))

    def keys(*kinds: str) -> dict[str, str]:
        one = line.removeprefix("generator = ")
        several = ", ".join(one.replace('["blur", "freeze"]', f'["{kind}"]') for kind in kinds)
        engines = f'generator = {{ use = "flows.engines.several:Several", generators = [{several}] }}'
        (tmp_path / "several.toml").write_text(small.replace(line, engines))
        return {step.stage: step.stage_key for step in recipes.load(str(tmp_path / "several.toml")).steps}

    before, after = keys("blur", "freeze"), keys("blur", "identity_warp")
    assert {stage for stage in before if before[stage] != after[stage]} == {"candidates", "likeness"}
