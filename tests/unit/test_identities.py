import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.identities import grouped
from tests import factories
from warehouse.records import Subject


def person(name: str, angle_deg: float, **override: Any) -> Subject:
    """A subject whose vector points there: the similarity of two is the cosine of the angle between them."""
    vector = (float(np.cos(np.radians(angle_deg))), float(np.sin(np.radians(angle_deg))))
    return factories.subject(**({"subject_id": f"subject_{name}", "identity_vector": vector} | override))


def groups(subjects: Sequence[Subject], similarity: float) -> set[frozenset[str]]:
    found: Mapping[str, set[str]] = defaultdict(set)
    for subject_id, identity_id in grouped(subjects, similarity).items():
        found[identity_id].add(subject_id.removeprefix("subject_"))
    return {frozenset(names) for names in found.values()}


def test_alike_faces_are_one_person_and_unlike_ones_are_two() -> None:
    subjects = [person("a", 0), person("b", 10), person("c", 90)]
    assert groups(subjects, 0.9) == {frozenset("ab"), frozenset("c")}


def test_a_chain_of_alike_faces_is_one_person_though_its_ends_are_not_alike() -> None:
    assert groups([person("a", 0), person("b", 50), person("c", 25)], 0.9) == {frozenset("abc")}


def test_a_subject_without_a_face_is_somebody_of_its_own() -> None:
    faceless = [person(name, 0, identity_vector=None, identity_model=None) for name in "xy"]
    assert groups([person("a", 0), *faceless], 0.9) == {frozenset("a"), frozenset("x"), frozenset("y")}


def test_vectors_of_two_recognisers_are_never_compared() -> None:
    subjects = [person("a", 0), person("b", 0, identity_model="arcface", identity_vector=(1.0, 0.0, 0.0))]
    assert groups(subjects, 0.9) == {frozenset("a"), frozenset("b")}


@pytest.mark.parametrize("similarity", [1.0, 1.5])
def test_a_similarity_that_nobody_has_keeps_everybody_apart(similarity: float) -> None:
    subjects = [person(name, angle) for name, angle in zip("abc", (10, 33, 71), strict=True)]
    assert groups(subjects, similarity) == {frozenset("a"), frozenset("b"), frozenset("c")}


def test_nobody_is_nobody() -> None:
    assert grouped([], 0.9) == {}


@given(st.lists(st.integers(0, 359), max_size=9), st.integers(1, 60), st.randoms(use_true_random=False))
def test_people_are_the_connected_parts_in_any_order(angles: list[int], reach_deg: int, random: Any) -> None:
    subjects = [person(f"{place:02}", angle) for place, angle in enumerate(angles)]
    shuffled = random.sample(subjects, len(subjects))
    # half a degree aside, so that no pair lies on the threshold itself
    similarity = float(np.cos(np.radians(reach_deg + 0.5)))
    assert grouped(shuffled, similarity) == grouped(subjects, similarity)
    assert groups(subjects, similarity) == connected(angles, reach_deg)


def connected(angles: Sequence[int], reach_deg: int) -> set[frozenset[str]]:
    """By merging until nothing changes."""
    parts = [{place} for place in range(len(angles))]
    for one, two in itertools.combinations(range(len(angles)), 2):
        apart = abs(angles[one] - angles[two]) % 360
        if min(apart, 360 - apart) <= reach_deg:
            joined = [part for part in parts if part & {one, two}]
            parts = [part for part in parts if part not in joined] + [set().union(*joined)]
    return {frozenset(f"{place:02}" for place in part) for part in parts}
