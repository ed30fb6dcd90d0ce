"""Whose labels training takes, and under which policies: the profile's table `[labels]`, which may be left out.

- `origin`: `human`, `simulated` or `vlm`; by default whoever `votes.annotators` says.
- `min_answers`: of models, for a majority of theirs.
- `original_by_default`: with models' labels only; the original wins against what was generated, and no judge is asked.
"""

from dataclasses import dataclass

from annotate.labels import BY_DEFAULT, JudgesPolicy, MajorityPolicy, Policy
from annotate.pairing import KINDS
from flows.recipe import Recipe
from warehouse.errors import BadRecipe
from warehouse.records import Origin

NOBODY = "nobody"
"""What `votes.annotators` says where no person votes and none is simulated."""
_KNOWN = {"origin", "min_answers", "original_by_default"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChoice:
    """Which labels a recipe trains on, and how votes become labels."""

    origin: Origin
    of_people: MajorityPolicy
    """Human and simulated votes alike; never together."""
    of_judges: JudgesPolicy
    is_by_default: bool
    """Whether the original wins against what was generated beside it without being asked about."""

    def policy_of(self, origin: str) -> Policy:
        """How votes of an origin settle."""
        return self.of_judges if origin == Origin.VLM else self.of_people

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of those that training takes; where a pair has labels of two of them, the first one's counts."""
        by_votes = self.policy_of(self.origin).name
        return (BY_DEFAULT, by_votes) if self.is_by_default else (by_votes,)

    @property
    def name(self) -> str:
        """Of all policies together, as a snapshot tells them."""
        return "+".join(self.policies)

    @property
    def asked_kinds(self) -> tuple[str, ...]:
        """Kinds of pairs that judges are asked about."""
        return KINDS[1:] if self.is_by_default else KINDS


def choice_of(recipe: Recipe) -> LabelChoice:
    """What a recipe says. `BadRecipe` for what does not fit together."""
    votes, labels = recipe.options["votes"], recipe.options.get("labels", {})
    try:
        if strange := sorted(labels.keys() - _KNOWN):
            raise ValueError(f"no key {strange[0]!r}; it has {', '.join(sorted(_KNOWN))}")
        origin = labels.get("origin", votes["annotators"])
        if origin == NOBODY:
            raise ValueError("nobody votes (votes.annotators), so `origin` must say whose labels to take")
        choice = LabelChoice(
            origin=Origin(origin),
            of_people=MajorityPolicy(num_votes=votes["num_a_pair"]),
            of_judges=JudgesPolicy(**{name: value for name, value in labels.items() if name == "min_answers"}),
            is_by_default=labels.get("original_by_default", False),
        )
        if choice.is_by_default and choice.origin != Origin.VLM:
            raise ValueError(f"original_by_default goes with models' labels; those of origin {origin} are asked for")
    except ValueError as error:
        raise BadRecipe(f"profile {recipe.profile}: [labels]: {error}") from error
    return choice
