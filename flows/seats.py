"""Who votes among models: each inference of each judge has a seat, and its votes are known by the seat's key."""

import json
from dataclasses import dataclass

from flows import recipe as recipes
from flows.engines.ports import Judge, Judgement
from flows.recipe import Recipe
from warehouse import ids
from warehouse.errors import BadRecipe
from warehouse.records import Origin, Outcome, Pair, Purpose, Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One inference of one judge: an annotator of its own."""

    judge: Judge
    inference: int
    """From 1."""

    @property
    def annotator(self) -> str:
        return f"{self.judge.name}#{self.inference}"

    @property
    def key(self) -> str:
        """What its votes are known by: another revision of the judge votes anew, and the old votes no longer count."""
        return ids.digest([self.judge.name, self.judge.revision, self.inference])[: ids.DIGITS]


def roll_of(recipe: Recipe) -> tuple[Seat, ...]:
    """Every inference of every judge of a recipe. `BadRecipe` if two judges have one name."""
    judges: list[Judge] = [recipes.build(table) for table in recipe.options.get("judge", [])]
    names = [each.name for each in judges]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadRecipe(f"profile {recipe.profile}: two judges are called {twice[0]}; give one another `name`")
    return tuple(Seat(judge=each, inference=number) for each in judges for number in range(1, each.num_inferences + 1))


def vote_of(pair: Pair, seat: Seat, judgement: Judgement, *, is_turned: bool, now: str) -> Vote:
    """What was said of the sides as shown, as a vote about the pair. An abstention is a vote without outcome."""
    shown = None if judgement.outcome is None else Outcome(judgement.outcome)
    outcome = shown.swapped() if shown is not None and is_turned else shown
    return Vote(
        vote_id=ids.make("vote", pair.pair_id, seat.key),
        pair_id=pair.pair_id,
        annotator=seat.annotator,
        origin=Origin.VLM,
        outcome=outcome,
        is_known=True,
        purpose=Purpose.VOTE,
        is_swapped=is_turned,
        face=None,
        quality=None,
        align=None,
        cast_at=now,
        seconds=None,
        comment=judgement.comment,
        raw=json.dumps(
            {
                "judge": seat.judge.name,
                "revision": seat.judge.revision,
                "inference": seat.inference,
                "judge_key": seat.key,
                "is_turned": is_turned,
                "shown": shown,
            }
        ),
    )
