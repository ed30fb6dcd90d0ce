"""Labels in the warehouse: which are settled anew, from which votes, under which policy."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotate.annotators import left_out
from annotate.vote_columns import VoteColumns
from annotate.votes import counted
from flows.cast_votes import cast_votes, columns_of, judged
from flows.label_choice import choice_of
from flows.recipe import Recipe
from flows.settle import settle_pairs
from tests import factories
from tests.vote_sets import drawn
from warehouse import queries, tables, vote_queries
from warehouse.board_records import Gold
from warehouse.migrate import migrate
from warehouse.records import Label, Origin, Outcome, Pair, Purpose, Vote

Session = duckdb.DuckDBPyConnection


def recipe(**labels: Any) -> Recipe:
    votes = {"annotators": "people", "num_a_pair": 3, "seed": 0}
    return Recipe(profile="test", stages=(), options={"votes": votes, "labels": labels})


@pytest.fixture
def session() -> Iterator[Session]:
    connection = duckdb.connect(config={"preserve_insertion_order": False})
    connection.execute("SET TimeZone = 'UTC'")
    migrate(connection)
    yield connection
    connection.close()


def put(session: Session, votes: VoteColumns | list[Vote], origin: Origin = Origin.HUMAN) -> list[Vote]:
    """Votes, and the pairs that they are about."""
    if isinstance(votes, VoteColumns):
        rows = zip(votes.pair_N, votes.annotator_N, votes.outcome_N, strict=True)
        votes = [
            factories.vote(
                pair_id=votes.pair_ids[pair],
                annotator=votes.annotators[name],
                outcome=list(Outcome)[code],
                origin=origin,
                is_swapped=bool((pair + name) % 2),
            )
            for pair, name, code in rows
        ]
    pairs = [factories.pair(pair_id=pair_id) for pair_id in sorted({vote.pair_id for vote in votes})]
    tables.merge(session, "pair", tables.to_arrow(Pair, pairs), keys=["pair_id"])
    tables.insert(session, "vote", tables.to_arrow(Vote, votes))
    return votes


def labels(session: Session) -> dict[str, Label]:
    found: list[Label] = queries.records(session, "label")
    assert len({(label.pair_id, label.origin) for label in found}) == len(found)
    return {label.pair_id: label for label in found}


def test_only_the_pairs_named_are_settled_anew(session: Session) -> None:
    put(session, drawn(40, [0.9] * 4)[0])
    assert settle_pairs(session, recipe()) == sum(each.outcome is not None for each in labels(session).values())
    before = labels(session)
    session.execute("UPDATE vote SET outcome = 'tie'")
    assert settle_pairs(session, recipe(), ["pair_3", "pair_7", "pair_3", "pair_of_nobody"]) == 2
    after = labels(session)
    assert {pair_id for pair_id in before if before[pair_id] != after[pair_id]} <= {"pair_3", "pair_7"}
    assert (after["pair_3"].outcome, after["pair_3"].num_tie) == (Outcome.TIE, 3)
    assert len(after) == 40


def test_settling_pair_by_pair_ends_where_settling_all_does(session: Session) -> None:
    put(session, drawn(30, [0.6] * 5)[0])
    for pair_id in queries.pair_ids(session):
        settle_pairs(session, recipe(), [pair_id])
    one_by_one = labels(session)
    settle_pairs(session, recipe())
    assert labels(session) == one_by_one


def test_nothing_named_settles_nothing(session: Session) -> None:
    put(session, drawn(3, [0.9] * 3)[0])
    assert (settle_pairs(session, recipe(), []), labels(session)) == (0, {})


def test_a_policy_that_looks_at_all_votes_settles_all_whatever_is_named(session: Session) -> None:
    put(session, drawn(200, [0.9, 0.9, 0.8, 0.5], votes_a_pair=3)[0])
    by_estimate = recipe(method="dawid_skene", min_posterior=0.7)
    settle_pairs(session, by_estimate, ["pair_1"])
    found = labels(session)
    assert {label.policy for label in found.values()} == {"dawid_skene_0.7"} and len(found) == 200
    assert Counter(label.reason for label in found.values()).keys() == {"posterior", "split"}
    choice, votes = choice_of(by_estimate), cast_votes(session, by_estimate, Origin.HUMAN)
    for pair_id, posterior in judged(session, choice, Origin.HUMAN, votes).estimate(choice).posteriors().items():
        assert (found[pair_id].reason == "posterior") == (max(posterior) >= 0.7)


def test_flagged_annotators_are_left_out_and_their_gold_answers_tell(session: Session) -> None:
    votes, truth_P = drawn(150, [0.95, 0.95, 0.95, 0.2], votes_a_pair=4)
    put(session, votes)
    gold = [Gold(pair_id=f"pair_{place}", outcome=list(Outcome)[truth_P[place]], source="test") for place in range(60)]
    tables.insert(session, "gold", tables.to_arrow(Gold, gold))
    without = recipe(without_flagged=True)
    found = judged(session, choice_of(without), Origin.HUMAN, cast_votes(session, without, Origin.HUMAN))
    (name, flags), *others = left_out(found.annotators).items()
    assert (name, others) == ("ann_3", [])
    assert "gold_accuracy_min" in {flag.limit for flag in flags}
    settle_pairs(session, without)
    assert {label.num_votes for label in labels(session).values()} == {3}
    settle_pairs(session, recipe())
    assert {label.num_votes for label in labels(session).values()} == {4}


def test_each_origin_has_annotators_of_its_own(session: Session) -> None:
    put(session, drawn(60, [0.95, 0.95, 0.3])[0])
    put(session, drawn(60, [0.95, 0.95, 0.95], seed=1)[0], Origin.SIMULATED)
    settle_pairs(session, recipe(without_flagged=True, limits={"agreement_min": 0.7}))
    found: list[Label] = queries.records(session, "label")
    assert Counter(label.origin for label in found) == {Origin.HUMAN: 60, Origin.SIMULATED: 60}
    assert {label.num_votes for label in found if label.origin == Origin.SIMULATED} == {3}
    assert {label.num_votes for label in found if label.origin == Origin.HUMAN} < {0, 1, 2, 3}


# What SQL counts is what `counted` counts.

cast = st.lists(
    st.builds(
        factories.vote,
        pair_id=st.sampled_from(["pair_1", "pair_2"]),
        annotator=st.sampled_from(["ann", "bob", "cem"]),
        outcome=st.none() | st.sampled_from(Outcome),
        is_known=st.sampled_from([True, True, True, False]),
        purpose=st.sampled_from([Purpose.VOTE, Purpose.GOLD, Purpose.REPEAT, Purpose.SWAPPED_REPEAT]),
        cast_at=st.sampled_from(
            [
                "2026-01-01T00:00:00Z",
                "2026-01-01T00:00:00.500000Z",
                "2026-01-01T00:00:00.5+00:00",
                "2026-01-01T01:00:00.250+01:00",
                "2026-01-01T00:00:01",
            ]
        ),
        vote_id=st.uuids().map(str),
    ),
    max_size=12,
    unique_by=lambda vote: vote.vote_id,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Session]:
    connection = duckdb.connect(config={"preserve_insertion_order": False})
    connection.execute("SET TimeZone = 'UTC'")
    migrate(connection)
    yield connection
    connection.close()


@settings(max_examples=40)
@given(cast)
def test_statistics_and_snapshots_count_the_votes_that_labels_count(shared: Session, votes: list[Vote]) -> None:
    shared.execute("DELETE FROM vote; DELETE FROM pair;")
    put(shared, votes)
    expected = {vote.vote_id for vote in counted(votes)}
    frozen = queries.frozen_votes(shared, ["pair_1", "pair_2"], "human", [])
    assert {row["vote_id"] for row in frozen if row["is_counted"]} == expected
    assert len(frozen) == len(votes)
    columns, by_hand = columns_of(vote_queries.cast_votes(shared, "human", [])), VoteColumns.of(votes)
    assert (columns.pair_ids, columns.annotators) == (by_hand.pair_ids, by_hand.annotators)
    for name in ("pair_N", "annotator_N", "outcome_N", "is_known_N", "is_counted_N", "purpose_N", "seconds_N", "at_N"):
        assert getattr(columns, name).tolist() == pytest.approx(getattr(by_hand, name).tolist()), name


def test_a_model_s_vote_counts_where_the_recipe_has_its_seat(session: Session) -> None:
    raws = {"seat#1": '{"judge_key": "key_1"}', "seat#2": '{"judge_key": "key_2"}', "before": '{"judge": "seat"}'}
    put(session, [factories.vote(annotator=name, origin=Origin.VLM, raw=raw) for name, raw in raws.items()])
    columns = columns_of(vote_queries.cast_votes(session, "vlm", ["key_1"]))
    assert [columns.annotators[place] for place in columns.counted().annotator_N] == ["seat#1"]
    frozen = queries.frozen_votes(session, ["pair_1"], "vlm", ["key_1"])
    assert [row["annotator"] for row in frozen if row["is_counted"]] == ["seat#1"]
    settle_pairs(session, recipe(origin="vlm"))  # which has no judge at all
    assert [(label.reason, label.num_votes) for label in labels(session).values()] == [("no votes", 0)]


def test_frozen_votes_of_those_left_out_do_not_count(session: Session) -> None:
    put(session, [factories.vote(annotator=name) for name in ("ann", "bob")])
    rows = queries.frozen_votes(session, ["pair_1"], "human", [], ["bob"])
    assert {row["annotator"]: row["is_counted"] for row in rows} == {"ann": True, "bob": False}
