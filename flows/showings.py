"""What a run of `likeness publish` has to do: which pairs are up, which are new, and what each is shown as."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from annotate.probes import Probes, order_of, showings_of
from flows.exhibits import Exhibits, exhibits_of, pairs_in_play
from flows.gold import ToldGold, new_gold, rule_of
from flows.recipe import Recipe
from warehouse import queries
from warehouse.board_records import Gold, Showing
from warehouse.database import Session
from warehouse.errors import BadInput, BadRecipe
from warehouse.records import Pair

_KNOWN = {"annotators", "num_a_pair", "num_agreeing", "repeat_share", "swapped_repeat_share", "gold", "seed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the caller of `publish` asks for."""

    most: int | None
    """New pairs to put up; None: all. What an earlier run left untold comes on top: of that, some may never go up."""
    only: frozenset[str]
    """Pairs by id; empty: any."""
    gold: Sequence[ToldGold]
    priorities: Mapping[str, float | None]
    """By pair id; None, or no entry: unknown."""

    def priority_of(self, pair: Pair) -> float:
        return self.priorities.get(pair.pair_id) or 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be written to the warehouse, and what the board is to be told."""

    gold: Sequence[Gold]
    """New ones."""
    new: Sequence[Showing]
    to_send: Sequence[tuple[Showing, Pair]]
    """Those that an earlier run wrote and the board does not have, then the new ones, the most urgent first."""
    withdrawn: Sequence[str]
    """Showing ids."""
    exhibits: Exhibits
    num_up: int
    """Showings that the board has."""
    num_out_of_play: int
    """Pairs that are up and not in play."""
    num_waiting: int
    """Pairs in play that stay without a showing."""


def plan_of(session: Session, recipe: Recipe, board: str, *, up: Collection[str], wish: Wish) -> Plan:
    """`up`: what the board has, by showing id. After `gates.judge`.

    A pair that has a showing keeps what it has: what the profile says of repeats and gold is for pairs to come.
    """
    probes, in_play = probes_of(recipe), {pair.pair_id: pair for pair in pairs_in_play(session, recipe)}
    shown = showings_on(session, board)
    shown_pairs = {showing.pair_id for showing in shown}
    _refuse_strange(wish.only, shown_pairs | in_play.keys())
    untold = [showing for showing in shown if _is_untold(showing, up, wish) and showing.pair_id in in_play]
    fresh = _by_urgency((pair for pair in in_play.values() if pair.pair_id not in shown_pairs), wish, probes.seed)
    chosen = fresh[: wish.most]
    exhibits = exhibits_of(session, recipe, [*chosen, *(in_play[showing.pair_id] for showing in untold)])
    known = {gold.pair_id: gold for gold in queries.records(session, "gold")}
    found = new_gold(
        wish.gold,
        rule_of(recipe),
        known=known,
        pair_ids=frozenset(queries.pair_ids(session)) if wish.gold else frozenset(),
        pairs=chosen,
        candidates=exhibits.candidates,
        seed=probes.seed,
    )
    gold_ids = known.keys() | {gold.pair_id for gold in found}
    new = [
        showing
        for pair in chosen
        for showing in showings_of(
            pair, board=board, probes=probes, is_gold=pair.pair_id in gold_ids, priority=wish.priority_of(pair)
        )
    ]
    standing = {showing.pair_id for showing in shown if not showing.is_withdrawn}
    return Plan(
        gold=found,
        new=new,
        to_send=[(showing, in_play[showing.pair_id]) for showing in (*untold, *new)],
        withdrawn=[showing.showing_id for showing in shown if showing.is_withdrawn],
        exhibits=exhibits,
        num_up=sum(showing.showing_id in up for showing in shown),
        num_out_of_play=len(standing - in_play.keys()),
        num_waiting=len(in_play.keys() - shown_pairs) - len(chosen),
    )


def probes_of(recipe: Recipe) -> Probes:
    """How often the profile's `[votes]` has pairs asked about. `BadRecipe` for what does not fit."""
    votes = recipe.options["votes"]
    if strange := sorted(votes.keys() - _KNOWN):
        raise BadRecipe(f"profile {recipe.profile}: [votes]: no key {strange[0]!r}; it has {', '.join(sorted(_KNOWN))}")
    told = ("num_agreeing", "repeat_share", "swapped_repeat_share", "seed")
    try:
        return Probes(num_votes=votes["num_a_pair"], **{name: votes[name] for name in told if name in votes})
    except (KeyError, TypeError, ValueError) as error:
        raise BadRecipe(f"profile {recipe.profile}: [votes]: {error}") from error


def showings_on(session: Session, board: str) -> list[Showing]:
    """Everything that was ever to be shown on a board, by id."""
    return [showing for showing in queries.records(session, "showing") if showing.board == board]


def _is_untold(showing: Showing, up: Collection[str], wish: Wish) -> bool:
    """Whether an earlier run wrote it and did not come to tell the board."""
    is_asked = not wish.only or showing.pair_id in wish.only
    return is_asked and showing.showing_id not in up and not showing.is_withdrawn


def _by_urgency(pairs: Iterable[Pair], wish: Wish, seed: int) -> list[Pair]:
    """Those that are asked for, the most urgent first."""
    asked = [pair for pair in pairs if not wish.only or pair.pair_id in wish.only]
    return sorted(asked, key=lambda pair: (-wish.priority_of(pair), order_of(pair.pair_id, seed=seed)))


def _refuse_strange(only: Collection[str], known: Collection[str]) -> None:
    if strange := sorted(set(only) - set(known)):
        raise BadInput(f"{strange[0]}: is no pair in play; `likeness funnel` shows what stopped its candidates")
