"""`likeness judge`: models vote on pairs, from what was measured of the candidates; never mixed with people's votes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flows import recipe as recipes
from flows.engines.ports import Judge, Sight
from flows.recipe import Recipe
from flows.settings import Settings
from warehouse import gates, ids, queries, tables
from warehouse.records import Origin, Outcome, Pair, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one run of the flow added."""

    num_votes: int
    num_abstentions: int


def judge(settings: Settings, recipe: Recipe) -> Judged:
    """Let every judge of the recipe vote on every pair; a vote that stands already is not cast again."""
    judges = [recipes.build(table) for table in recipe.options.get("judge", [])]
    with settings.warehouse.transaction() as session:
        gates.judge(session, recipe.steps)
        sights = {row["candidate_id"]: _sight(row) for row in queries.sights(session)}
        answers = list(_answers(judges, queries.pairs_in_play(session, recipe.steps[-1].stage), sights))
        votes = [vote for vote in answers if vote is not None]
        num_votes = tables.merge(session, "vote", tables.to_arrow(Vote, votes), keys=["vote_id"])
    return Judged(num_votes=num_votes, num_abstentions=len(answers) - len(votes))


def _answers(judges: Sequence[Judge], pairs: Sequence[Pair], sights: Mapping[str, Sight]) -> Iterator[Vote | None]:
    now = datetime.now(UTC).isoformat()
    for pair in pairs:
        for each in judges:
            if pair.candidate_a not in sights or pair.candidate_b not in sights:
                continue
            answer = each.vote(sights[pair.candidate_a], sights[pair.candidate_b])
            yield None if answer is None else _vote(pair, each, Outcome(answer), now)


def _vote(pair: Pair, judge: Judge, outcome: Outcome, now: str) -> Vote:
    return Vote(
        vote_id=ids.make("vote", pair.pair_id, judge.name, judge.revision),
        pair_id=pair.pair_id,
        annotator=judge.name,
        origin=Origin.VLM,
        outcome=outcome,
        is_known=True,
        cast_at=now,
        seconds=None,
        comment=None,
        raw=json.dumps({"judge": judge.name, "revision": judge.revision, "outcome": outcome}),
    )


def _sight(row: Mapping[str, float | None]) -> Sight:
    return Sight(
        identity_mean=row["identity_mean"],
        identity_min=row["identity_min"],
        sharpness=row["sharpness"],
        flicker=row["flicker"],
    )
