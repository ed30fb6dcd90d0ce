"""Whose labels training takes, and under which policies: the profile's table `[labels]`, which may be left out.

- `origin`: `human`, `simulated` or `vlm`; by default whoever `votes.annotators` says.
- `method`: `majority` (the default), or `dawid_skene`, which looks at all votes for every label.
- `min_answers`: of models, for a majority of theirs; `min_posterior`: of `dawid_skene`.
- `without_flagged`: whether the votes of annotators beyond `[labels.limits]` (`annotate.limits.Limits`) are left out.
- `original_by_default`: with models' labels only; the original wins against what was generated, and no judge is asked.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from annotate.labels import BY_DEFAULT, DawidSkenePolicy, JudgesPolicy, MajorityPolicy, Policy, WithoutFlagged
from annotate.limits import Limits
from annotate.pairing import KINDS
from flows.recipe import Recipe
from warehouse.errors import BadRecipe
from warehouse.records import Origin

NOBODY = "nobody"
"""What `votes.annotators` says where no person votes and none is simulated."""
PEOPLE = "people"
"""What it says where people vote on the Label Studio board."""
MAJORITY, DAWID_SKENE = METHODS = ("majority", "dawid_skene")
_KNOWN = {
    "origin",
    "method",
    "min_answers",
    "min_posterior",
    "without_flagged",
    "limits",
    "original_by_default",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChoice:
    """Which labels a recipe trains on, and how votes become labels."""

    origin: Origin
    of_people: MajorityPolicy
    """Human and simulated votes alike; never together."""
    of_judges: JudgesPolicy
    of_all: DawidSkenePolicy | None = None
    """Stands in the place of both; None: the method is majority."""
    limits: Limits = field(default_factory=Limits)
    is_without_flagged: bool = False
    is_by_default: bool
    """Whether the original wins against what was generated beside it without being asked about."""

    @property
    def looks_at_all_votes(self) -> bool:
        """Whether one vote may change the labels of other pairs, so that all are settled anew."""
        return self.of_all is not None or self.is_without_flagged

    def majority_of(self, origin: str) -> MajorityPolicy | JudgesPolicy:
        """The majority's policy for votes of an origin, whether or not it is the method."""
        return self.of_judges if origin == Origin.VLM else self.of_people

    def policy_of(
        self,
        origin: str,
        *,
        posteriors: Mapping[str, tuple[float, float, float]] | None = None,
        left_out: Collection[str] = (),
    ) -> Policy:
        """How votes of an origin settle; what all votes say is needed to decide, not for the name."""
        policy: Policy = self.majority_of(origin)
        if self.of_all is not None:
            policy = replace(self.of_all, posteriors=posteriors or {})
        if not self.is_without_flagged:
            return policy
        return WithoutFlagged(policy=policy, limits=self.limits, left_out=frozenset(left_out))

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
    try:
        return _choice(recipe.options["votes"], recipe.options.get("labels", {}))
    except ValueError as error:
        raise BadRecipe(f"profile {recipe.profile}: [labels]: {error}") from error


def _choice(votes: Mapping[str, Any], labels: Mapping[str, Any]) -> LabelChoice:
    _refuse_strange(labels, _KNOWN)
    choice = LabelChoice(
        origin=_origin(votes, labels),
        of_people=MajorityPolicy(num_votes=votes["num_a_pair"]),
        of_judges=JudgesPolicy(**{name: value for name, value in labels.items() if name == "min_answers"}),
        of_all=_dawid_skene(labels),
        limits=_limits(labels),
        is_without_flagged=_truth(labels, "without_flagged"),
        is_by_default=_truth(labels, "original_by_default"),
    )
    if choice.is_by_default and choice.origin != Origin.VLM:
        raise ValueError(f"original_by_default goes with models' labels; those of origin {choice.origin} are asked for")
    return choice


def _origin(votes: Mapping[str, Any], labels: Mapping[str, Any]) -> Origin:
    voters = votes["annotators"]
    if "origin" not in labels and voters == NOBODY:
        raise ValueError("nobody votes (votes.annotators), so `origin` must say whose labels to take")
    return Origin(labels.get("origin", Origin.HUMAN if voters == PEOPLE else voters))


def _dawid_skene(labels: Mapping[str, Any]) -> DawidSkenePolicy | None:
    method = labels.get("method", MAJORITY)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; take {' or '.join(METHODS)}")
    odd = "min_answers" if method == DAWID_SKENE else "min_posterior"
    if odd in labels:
        raise ValueError(f"{odd} says nothing to method {method}; take it out, or take the other method")
    if method == MAJORITY:
        return None
    return DawidSkenePolicy(**{name: value for name, value in labels.items() if name == "min_posterior"})


def _limits(labels: Mapping[str, Any]) -> Limits:
    table = labels.get("limits", {})
    if not isinstance(table, dict):
        raise ValueError(f"limits is {table!r}; it must be a table")
    _refuse_strange(table, {one.name for one in fields(Limits)}, "limits.")
    return Limits(**table)


def _truth(labels: Mapping[str, Any], name: str) -> bool:
    value = labels.get(name, False)
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; it must be true or false")
    return value


def _refuse_strange(table: Mapping[str, Any], known: Collection[str], above: str = "") -> None:
    if strange := sorted(table.keys() - set(known)):
        raise ValueError(f"no key {above + strange[0]!r}; it has {', '.join(sorted(known))}")
