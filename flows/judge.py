"""`likeness judge`: models vote on pairs. Their votes are never mixed with people's.

An inference of a judge is an annotator of its own (`name#1`, `name#2`, ...). Each is shown the sides as a coin falls,
and the vote says them as they are. Votes are committed as they come, abstentions too: what was asked once is not asked
again. What could not be asked is counted, and asked by the next run.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from annotate.pairing import is_turned
from flows.engines.ports import Judge, Judgement, Question, Side, Sight
from flows.exhibits import pairs_in_play, reference_files
from flows.label_choice import choice_of
from flows.progress import Progress
from flows.recipe import Recipe
from flows.seats import Seat, roll_of, vote_of
from flows.settings import Settings
from flows.stages.stage import Failed
from warehouse import gates, ids, queries, tables, vote_queries
from warehouse.database import Session
from warehouse.errors import DiskFull, EngineUnavailable
from warehouse.files import is_disk_full
from warehouse.media import MediaStore
from warehouse.records import Pair, Vote

log = logging.getLogger(__name__)

PAIRS_AT_ONCE = 16
"""A batch: its questions go out together."""
COMMIT_EVERY_S = 2.0
"""Votes are committed after the first batch that ends later: a kill loses no more than a batch that takes longer, and
judges that answer at once do not wait for the warehouse."""
SIGHTS = ("identity_mean", "identity_min", "sharpness", "flicker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one run of the flow added."""

    num_votes: int
    """New ones, without abstentions."""
    num_abstentions: int
    """New ones."""
    failed: Mapping[str, int]
    """Inferences that could not be asked, by reason; the next run asks them again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exhibits:
    """All that judges may be shown."""

    pairs: Mapping[str, Pair]
    files: Mapping[str, str]
    """By candidate id: the video's hash."""
    sights: Mapping[str, Sight]
    references: Mapping[str, Sequence[str]]
    """By clip id: the file of each subject's reference, by its hash."""
    prompts: Mapping[str, str | None]


def judge(settings: Settings, recipe: Recipe, *, progress: Progress | None = None) -> Judged:
    """Let every judge of the recipe vote on every pair that it has not voted on."""
    seats = {seat.key: seat for seat in roll_of(recipe)}
    with settings.warehouse.session() as session:
        gates.judge(session, recipe.steps)
        exhibits = _exhibits(session, recipe)
        stage, kinds = recipe.steps[-1].stage, choice_of(recipe).asked_kinds
        pending = {
            row["pair_id"]: row["judge_keys"]
            for row in vote_queries.votes_to_cast(session, stage, kinds, sorted(seats))
            if row["pair_id"] in exhibits.pairs
        }
    progress = progress or Progress("judge")
    num_votes = num_abstentions = 0
    failed: Counter[str] = Counter()
    waiting: list[Vote] = []
    committed = time.monotonic()
    try:
        for pair_ids in _batches(sorted(pending)):
            asked = {pair_id: [seats[key] for key in pending[pair_id]] for pair_id in pair_ids}
            said = _said(_questions(asked, exhibits, settings.media, seed=recipe.options["pairs"]["seed"]))
            waiting += said.votes
            if said.error is not None:
                raise said.error
            if time.monotonic() - committed >= COMMIT_EVERY_S:
                _commit(settings, waiting)
                waiting, committed = [], time.monotonic()
            num_abstentions += sum(vote.outcome is None for vote in said.votes)
            num_votes += sum(vote.outcome is not None for vote in said.votes)
            failed += said.failed
            progress.advance(len(pair_ids), len(pending))
    finally:
        _commit(settings, waiting)
    return Judged(num_votes=num_votes, num_abstentions=num_abstentions, failed=dict(failed))


def _commit(settings: Settings, votes: Sequence[Vote]) -> None:
    if votes:
        with settings.warehouse.transaction() as session:
            tables.merge(session, "vote", tables.to_arrow(Vote, votes), keys=["vote_id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One question to one seat."""

    pair: Pair
    seat: Seat
    is_turned: bool
    question: Question


@dataclass(slots=True, kw_only=True)
class _Said:
    """What came of a batch of pairs."""

    votes: list[Vote] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    error: Exception | None = None
    """That of a judge that can answer nobody; what the others said is worth keeping all the same."""


def _questions(
    asked: Mapping[str, Sequence[Seat]], exhibits: _Exhibits, media: MediaStore, *, seed: int
) -> dict[str, list[_Asked]]:
    """What each judge is asked, by its name."""
    by_judge: dict[str, list[_Asked]] = {}
    for pair_id, seats in asked.items():
        pair = exhibits.pairs[pair_id]
        for seat in seats:
            turned = is_turned(pair_id, seat.annotator, seed=seed)
            question = _question(pair, seat, exhibits, media, turned, seed)
            one = _Asked(pair=pair, seat=seat, is_turned=turned, question=question)
            by_judge.setdefault(seat.judge.name, []).append(one)
    return by_judge


def _said(by_judge: Mapping[str, Sequence[_Asked]]) -> _Said:
    """Ask the judges, side by side: each has a service of its own to wait for."""
    found = _Said()
    with ThreadPoolExecutor(max_workers=len(by_judge)) as judges:
        answers = {
            name: judges.submit(_answered, asked[0].seat.judge, [one.question for one in asked])
            for name, asked in by_judge.items()
        }
    for name, asked in by_judge.items():
        try:
            said = answers[name].result()
        except (DiskFull, EngineUnavailable, MemoryError) as error:
            found.error = found.error or error
            continue
        _note(found, asked, said)
    return found


def _note(found: _Said, asked: Sequence[_Asked], said: Sequence[Judgement | Failed]) -> None:
    now = datetime.now(UTC).isoformat()
    for one, answer in zip(asked, said, strict=True):
        if isinstance(answer, Failed):
            found.failed[answer.reason] += 1
            who = f"{one.pair.pair_id}, {one.seat.annotator}"
            log.info("%s: not asked: %s (%s)", who, answer.reason, answer.exception)
        else:
            found.votes.append(vote_of(one.pair, one.seat, answer, is_turned=one.is_turned, now=now))


def _answered(judge: Judge, questions: Sequence[Question]) -> Sequence[Judgement | Failed]:
    """One answer a question. A batch that raises is split until the culprit stands alone, and fails by itself."""
    try:
        said = judge.vote(questions)
    except (DiskFull, EngineUnavailable, MemoryError):
        raise
    except Exception as error:
        if is_disk_full(error):
            raise DiskFull("no space left while a judge looked; free some and run the same command again") from error
        if len(questions) == 1:
            return [Failed(reason=type(error).__name__, exception=str(error))]
        middle = len(questions) // 2
        return [*_answered(judge, questions[:middle]), *_answered(judge, questions[middle:])]
    assert len(said) == len(questions), f"{judge.name} gave {len(said)} answers to {len(questions)} questions"
    return said


def _question(pair: Pair, seat: Seat, exhibits: _Exhibits, media: MediaStore, is_turned: bool, seed: int) -> Question:
    a, b = (
        Side(
            video=media.root / media.relative_path(exhibits.files[candidate_id]),
            sight=exhibits.sights.get(candidate_id, _NOTHING_SEEN),
        )
        for candidate_id in (pair.candidate_a, pair.candidate_b)
    )
    straight = Question(
        prompt=exhibits.prompts[pair.clip_id],
        references=tuple(media.root / media.relative_path(each) for each in exhibits.references.get(pair.clip_id, ())),
        a=a,
        b=b,
        seed=int(ids.digest(["inference", seed, pair.pair_id, seat.annotator])[:7], 16),
    )
    return replace(straight, a=b, b=a) if is_turned else straight


_NOTHING_SEEN = Sight(**dict.fromkeys(SIGHTS))


def _exhibits(session: Session, recipe: Recipe) -> _Exhibits:
    """After `gates.judge`."""
    pairs = pairs_in_play(session, recipe)
    candidates = queries.records(session, "candidate")
    shown = {candidate_id for pair in pairs for candidate_id in (pair.candidate_a, pair.candidate_b)}
    return _Exhibits(
        pairs={pair.pair_id: pair for pair in pairs},
        files={one.candidate_id: one.sha256 for one in candidates if one.candidate_id in shown},
        sights=_sights(session, recipe),
        references=reference_files(session),
        prompts={row["clip_id"]: row["prompt"] for row in queries.prompts(session)},
    )


def _sights(session: Session, recipe: Recipe) -> Mapping[str, Sight]:
    """What was measured of each candidate, where a stage measures all that a judge may look at."""
    measuring = [
        step for step in recipe.steps if step.noun == "candidate" and all(hasattr(step.fact, name) for name in SIGHTS)
    ]
    rows: list[dict[str, Any]] = [row for step in measuring for row in queries.facts(session, step).to_pylist()]
    return {row["item_id"]: Sight(**{name: row[name] for name in SIGHTS}) for row in rows}


def _batches(pair_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(pair_ids), PAIRS_AT_ONCE):
        yield pair_ids[start : start + PAIRS_AT_ONCE]
