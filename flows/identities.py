"""Who is who across clips: subjects whose faces are alike get one identity, so that splits can keep people apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flows.recipe import Recipe
from warehouse import gates, ids, queries, tables
from warehouse.database import Session
from warehouse.records import Subject

BLOCK = 2048
"""Subjects compared with all before them at a time: what is in memory is this many rows of similarities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectIdentity:
    """A subject and the person it is taken to be."""

    subject_id: str
    identity_id: str


def assign(session: Session, recipe: Recipe, *, same_person_similarity: float) -> int:
    """Group all subjects in play anew, and give the number of people. The session must be in a transaction."""
    gates.judge(session, recipe.steps)
    subjects = tables.from_arrow(Subject, queries.in_play(session, "subject"))
    identities = grouped(subjects, same_person_similarity)
    rows = [SubjectIdentity(subject_id=key, identity_id=value) for key, value in sorted(identities.items())]
    tables.replace(session, "subject_identity", tables.to_arrow(SubjectIdentity, rows), where="true", values=[])
    return len(set(identities.values()))


def grouped(subjects: Sequence[Subject], same_person_similarity: float) -> Mapping[str, str]:
    """Identity id by subject id. Subjects linked by a chain of similar faces are one person: two people taken for one
    cost a pair or two, one person taken for two would leak from training into test. Without a face, one's own."""
    ordered = sorted(subjects, key=lambda subject: subject.subject_id)
    with_face = [subject for subject in ordered if subject.identity_vector is not None]
    leader = {subject.subject_id: subject.subject_id for subject in ordered}
    for model in sorted({subject.identity_model or "" for subject in with_face}):
        of_model = [subject for subject in with_face if (subject.identity_model or "") == model]
        leader |= _linked(of_model, same_person_similarity)
    return {subject_id: ids.make("identity", first) for subject_id, first in leader.items()}


def _linked(subjects: Sequence[Subject], similarity: float) -> dict[str, str]:
    """Each subject's least linked subject id, by vectors of one recogniser."""
    vectors = np.array([subject.identity_vector for subject in subjects], np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    leader = list(range(len(subjects)))
    for start in range(0, len(subjects), BLOCK):
        alike = vectors[start : start + BLOCK] @ vectors[: start + BLOCK].T >= similarity
        for row, column in np.argwhere(np.tril(alike, start - 1)).tolist():
            one, other = sorted((_first(leader, start + row), _first(leader, column)))
            leader[other] = one
    return {subject.subject_id: subjects[_first(leader, place)].subject_id for place, subject in enumerate(subjects)}


def _first(leader: list[int], place: int) -> int:
    """The first of a subject's group; the way there is made shorter as it is gone."""
    while leader[place] != place:
        leader[place] = leader[leader[place]]
        place = leader[place]
    return place
