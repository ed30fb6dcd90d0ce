"""Which pairs a profile's `pairs.text_video_gap_max` lets be compared: Identity-GRPO's GME filter (2.1.2 and 2.1.3)."""

from collections.abc import Mapping
from dataclasses import dataclass

from annotate.pairing import is_close
from flows.recipe import Recipe
from warehouse import queries
from warehouse.database import Session
from warehouse.errors import BadRecipe

SCORE = "text_video_score"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVideoGap:
    """The gate on pairs, with the scores that it asks."""

    scores: Mapping[str, float | None]
    """By candidate id; None: the scorer does not know."""
    most: float | None
    """In the scorer's own unit; None: the profile sets no gate."""

    def lets(self, candidate_a: str, candidate_b: str) -> bool:
        """A pair with an unknown score is let through: it is never discarded for what nobody measured."""
        return is_close(candidate_a, candidate_b, self.scores, self.most)

    def knows(self, candidate_a: str, candidate_b: str) -> bool:
        """Whether both scores are known."""
        return self.scores.get(candidate_a) is not None and self.scores.get(candidate_b) is not None


def gap_of(session: Session, recipe: Recipe) -> TextVideoGap:
    """The gate of a recipe, over the scores that its stages measured. After `gates.judge`.

    `BadRecipe` for a gate on what no stage measures: it would never discard anything, and nobody would notice.
    """
    most: float | None = recipe.options["pairs"].get("text_video_gap_max")
    if most is None:
        return TextVideoGap(scores={}, most=None)
    measuring = [step for step in recipe.steps if step.noun == "candidate" and hasattr(step.fact, SCORE)]
    if not measuring:
        raise BadRecipe(f"profile {recipe.profile}: pairs.text_video_gap_max needs a stage that measures {SCORE}")
    rows = [row for step in measuring for row in queries.facts(session, step).to_pylist()]
    return TextVideoGap(scores={row["item_id"]: row[SCORE] for row in rows}, most=most)
