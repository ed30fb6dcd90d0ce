"""`likeness publish`: pairs go up on the board, each once, however often it is run and wherever it is killed.

Showings are written to the warehouse first and the board is told after, so that no answer ever comes to a task that
nobody knows. What a killed run wrote and did not tell, the next one tells. Publishers take turns: a board that is a
server cannot tell two that send the same showing at one moment.
"""

import fcntl
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from annotate.board import PairBoard, PairTask, task_of
from flows.board import annotators_of
from flows.board_media import BoardMedia
from flows.exhibits import Exhibits, pairs_in_play
from flows.gold import read_gold
from flows.label_choice import PEOPLE
from flows.progress import Progress
from flows.recipe import Recipe
from flows.settings import Settings
from flows.showings import Plan, Wish, plan_of, showings_on
from warehouse import gates, tables, vote_queries
from warehouse.board_records import Gold, Showing
from warehouse.errors import BadInput
from warehouse.records import Pair, Purpose

SEEDED, UNCERTAIN = "seeded", "uncertain"
SHOWINGS_AT_ONCE = 5000
"""Put up together: annotators can begin with the first while the media of the next are made. Each time a board that is
a server lists all that is up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What one run of the flow put up, and what it found."""

    num_showings: Mapping[Purpose, int]
    """Put up now, by purpose."""
    num_pairs: int
    """Put up now."""
    num_gold: int
    """Gold answers that are new."""
    num_before: int
    """Showings that were up already."""
    num_withdrawn: int
    """Showings of this board that are shown to nobody any more."""
    num_out_of_play: int
    """Pairs that are up although their candidates no longer pass; `withdraw` takes them away."""
    num_waiting: int
    """Pairs in play whose turn has not come."""
    num_unshowable: int
    """Pairs left out because a file of theirs cannot be shown; the next run tries again."""
    num_unscored: int | None
    """Of those considered: pairs whose uncertainty could not be told; None: it was not asked for."""

    def told(self) -> str:
        """One line for a person."""
        purposes = ", ".join(f"{num} {purpose.replace('_', ' ')}" for purpose, num in self.num_showings.items() if num)
        num_new = sum(self.num_showings.values())
        parts = [f"{num_new} new showings of {self.num_pairs} pairs" + (f" ({purposes})" if num_new else "")]
        parts += [f"{self.num_gold} new gold answers"] if self.num_gold else []
        parts += [f"{self.num_before} already up", f"{self.num_withdrawn} withdrawn"]
        parts += [f"{self.num_out_of_play} pairs out of play"]
        parts += [f"{self.num_waiting} pairs wait"] if self.num_waiting else []
        parts += [f"{self.num_unshowable} cannot be shown"] if self.num_unshowable else []
        parts += [f"{self.num_unscored} of unknown uncertainty"] if self.num_unscored is not None else []
        return ", ".join(parts)


def publish(
    settings: Settings,
    recipe: Recipe,
    board: PairBoard,
    *,
    most: int | None = None,
    select: str = SEEDED,
    only: Collection[str] = (),
    gold: Path | None = None,
    progress: Progress | None = None,
) -> Published:
    """Put up pairs in play that are not up yet: `most` new ones at most, `only` these, the most urgent first."""
    if most is not None and most < 1:
        raise BadInput(f"at most {most} pairs: give 1 or more, or leave it out for all")
    told = read_gold(gold) if gold else ()
    with _taking_turns(settings):
        up = board.numbers()
        priorities = _priorities(settings, recipe, board, select, progress)
        wish = Wish(most=most, only=frozenset(only), gold=told, priorities=priorities or {})
        with settings.warehouse.transaction() as session:
            gates.judge(session, recipe.steps)
            plan = plan_of(session, recipe, board.name, up=up, wish=wish)
            tables.merge(session, "gold", tables.to_arrow(Gold, plan.gold), keys=["pair_id"])
            tables.merge(session, "showing", tables.to_arrow(Showing, plan.new), keys=["showing_id"])
        sent = _send(settings, recipe, board, plan, progress)
        if missed := [showing_id for showing_id in plan.withdrawn if showing_id in up]:
            board.withdraw(missed)
    return Published(
        num_showings=Counter(showing.purpose for showing in sent),
        num_pairs=len({showing.pair_id for showing in sent}),
        num_gold=len(plan.gold),
        num_before=plan.num_up,
        num_withdrawn=len(plan.withdrawn),
        num_out_of_play=plan.num_out_of_play,
        num_waiting=plan.num_waiting,
        num_unshowable=len({pair.pair_id for _, pair in plan.to_send} - {showing.pair_id for showing in sent}),
        num_unscored=None if priorities is None else sum(each is None for each in priorities.values()),
    )


def withdraw(
    settings: Settings, recipe: Recipe, board: PairBoard, *, pair_ids: Collection[str] = (), out_of_play: bool = False
) -> int:
    """Show these pairs, or all that are no longer in play, to nobody any more; how many showings were up till now.

    Their votes stay, and they do not come back. `BadInput` for a pair that this board never showed.
    """
    with _taking_turns(settings):
        with settings.warehouse.transaction() as session:
            shown = {showing.pair_id for showing in showings_on(session, board.name)}
            if strange := sorted(set(pair_ids) - shown):
                raise BadInput(f"{strange[0]}: was never shown on board {board.name}; nothing is withdrawn")
            chosen = set(pair_ids)
            if out_of_play:
                gates.judge(session, recipe.steps)
                chosen |= shown - {pair.pair_id for pair in pairs_in_play(session, recipe)}
            vote_queries.withdraw_showings(session, board.name, sorted(chosen))
            gone = [each.showing_id for each in showings_on(session, board.name) if each.is_withdrawn]
        return board.withdraw(gone) if gone else 0


def _send(settings: Settings, recipe: Recipe, board: PairBoard, plan: Plan, progress: Progress | None) -> list[Showing]:
    """Tell the board, piece by piece, and say what it was told. What cannot be shown waits for the next run."""
    media = BoardMedia(settings, is_shown=annotators_of(recipe) == PEOPLE)
    sent: list[Showing] = []
    for start in range(0, len(plan.to_send), SHOWINGS_AT_ONCE):
        piece = plan.to_send[start : start + SHOWINGS_AT_ONCE]
        tasks = {showing: _task(showing, pair, plan.exhibits, media) for showing, pair in _showable(piece, plan, media)}
        board.publish(list(tasks.values()))
        sent += tasks
        if progress:
            progress.advance(len(piece), len(plan.to_send))
    if progress:
        for problem in sorted(media.bad.values()):
            progress.warn(problem)
    return sent


def _showable(piece: Sequence[tuple[Showing, Pair]], plan: Plan, media: BoardMedia) -> Iterator[tuple[Showing, Pair]]:
    """Those of which every file is ready."""
    pairs = [pair for _, pair in piece]
    media.take(plan.exhibits.videos(pairs), "video")
    media.take(plan.exhibits.pictures(pairs), "picture")
    for showing, pair in piece:
        if not media.bad.keys() & (plan.exhibits.videos([pair]) | plan.exhibits.pictures([pair])):
            yield showing, pair


def _task(showing: Showing, pair: Pair, exhibits: Exhibits, media: BoardMedia) -> PairTask:
    """What annotators see of a pair. Names tell neither a file's generator nor its side."""
    return task_of(
        showing,
        pair,
        prompt=exhibits.prompts[pair.clip_id],
        references=[media.names[sha256] for sha256 in exhibits.references.get(pair.clip_id, ())],
        faces=exhibits.faces_on_both(pair),
        videos={each: media.names[exhibits.candidates[each].sha256] for each in (pair.candidate_a, pair.candidate_b)},
    )


def _priorities(
    settings: Settings, recipe: Recipe, board: PairBoard, select: str, progress: Progress | None
) -> Mapping[str, float | None] | None:
    """By id of each pair that is not up: how unsure the newest reward model is; None: nobody asked."""
    if select == SEEDED:
        return None
    if select != UNCERTAIN:
        raise BadInput(f"select {select!r}: take {SEEDED} or {UNCERTAIN}")
    from flows.uncertainty import uncertainties  # loads torch

    return uncertainties(settings, recipe, board.name, progress=progress)


@contextmanager
def _taking_turns(settings: Settings) -> Iterator[None]:
    """Held by one publisher at a time; a killed one lets go."""
    settings.board.mkdir(parents=True, exist_ok=True)
    with (settings.board / "publish.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
