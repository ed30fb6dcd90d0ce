"""Chaos: people create, edit, skip and delete votes and tasks on a real Label Studio on PostgreSQL, while the collector
is killed at random, webhooks are dropped, doubled and late, requests fail, and the server restarts. The warehouse ends
equal to the server, and its history holds all that could be seen.

`LIKENESS_CHAOS_S` is how long it lasts: two minutes, if nothing else is said.
"""

import bisect
import json
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from annotate.home import BoardHome, Connection
from annotate.hosting.configuration import BoardConfig, Database
from annotate.hosting.label_studio import OPERATOR, LabelStudio
from annotate.hosting.processes import Server
from annotate.interface import parse_result
from annotate.labelstudio import LabelStudioBoard
from annotate.labelstudio_setup import LabelStudioSetup, personal_token
from annotate.votes import time_of
from tests.collect_world import CollectWorld
from tests.live import chaos
from tests.live.hosted import live_folder, postgresql_server
from tests.served import ROOT, free_port, process
from warehouse.board_records import VoteEvent
from warehouse.records import Outcome, Vote

pytestmark = pytest.mark.live

CHAOS_S = float(os.environ.get("LIKENESS_CHAOS_S", "120"))
NUM_PAIRS = 200
NUM_WRITERS = 5
PASSWORD = "a-password-of-the-tests"
SEED = int(os.environ.get("LIKENESS_CHAOS_SEED", "0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A Label Studio on PostgreSQL and a gateway, with a webhook between them that cannot be relied on."""

    world: CollectWorld
    studio: LabelStudio
    database: Database
    connection: Connection
    webhooks: chaos.Proxy
    people: Mapping[str, str]
    """Passwords by e-mail."""
    names: Mapping[int, str]
    """By Label Studio's number of the account."""

    @property
    def home(self) -> BoardHome:
        return BoardHome(self.world.settings.board)

    def board(self) -> LabelStudioBoard:
        return LabelStudioBoard(self.studio.url, self.home.secrets().personal_token, self.connection.project)


@pytest.fixture
def site(home: Path, label_studio_environment: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        folder = stack.enter_context(live_folder())
        database = stack.enter_context(postgresql_server(folder / "postgresql"))
        world = CollectWorld(home, num_pairs=NUM_PAIRS)
        board_home = BoardHome(world.settings.board)
        board_home.root.mkdir(parents=True)
        gateway, port = f"http://127.0.0.1:{free_port()}", free_port()
        studio = LabelStudio(
            environment=label_studio_environment,
            data=folder / "label_studio",
            config=BoardConfig(database=database),
            origin=f"http://127.0.0.1:{port}",
            port=port,
            server=Server(folder / "run", "label_studio"),
        )
        studio.make(PASSWORD, print)
        studio.start(print)
        token = personal_token(studio.url, OPERATOR, PASSWORD)
        board_home.keep_secrets(replace(board_home.secrets(), personal_token=token))
        webhooks = stack.enter_context(chaos.proxying(gateway, chaos.forgetful(SEED)))
        with LabelStudioSetup(studio.url, token) as setup:
            setup.secure()
            project = setup.project()
            setup.webhook(project, webhooks.url, board_home.secrets().webhook_secret)
            invited = [setup.invite(f"writer {number}") for number in range(NUM_WRITERS)]
        board_home.keep_members(tuple(one.member for one in invited))
        connection = Connection(origin=gateway, label_studio=studio.url, project=project, operator=OPERATOR)
        board_home.keep_connection(connection)
        command = ["-m", "annotate.gateway", "--home", str(board_home.root), "--port", gateway.rpartition(":")[2]]
        python = str(ROOT / ".venv" / "bin" / "python")
        stack.enter_context(
            process([python, *command], health=f"{gateway}/likeness/health", log=home.parent / "gateway.log")
        )
        yield Site(
            world=world,
            studio=studio,
            database=database,
            connection=connection,
            webhooks=webhooks,
            people={one.member.email: one.password for one in invited},
            names={one.member.user: one.member.name for one in invited},
        )
        studio.server.stop(grace_s=5)


def test_the_warehouse_ends_equal_to_the_server_whatever_happens(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    with site.board() as board:
        site.world.fill_board(board)
    notes = chaos.Notes()
    with chaos.proxying(site.studio.url, chaos.faulty(SEED)) as proxy:
        site.home.keep_connection(replace(site.connection, label_studio=proxy.url))
        log = site.world.home.parent / "collector.log"
        collector = chaos.Collector(site.world.home, site.world.profile("people"), log, proxy, SEED)
        num_restarts = lasting(site, collector, notes)
        time.sleep(5.5)  # until the last late webhook has arrived
        last = collector.once("--reconcile")
    site.home.keep_connection(site.connection)
    with capsys.disabled():
        print(f"\n{CHAOS_S:.0f} s: {chaos.told(notes.counts)}")
        print(f"webhooks: {chaos.told(site.webhooks.counts)}; requests: {chaos.told(proxy.counts)}")
        print(
            f"collector: {collector.num_kills} kills, ended by itself {collector.ended_by_itself};"
            f" server: {num_restarts} restarts"
        )
        verdict = judged(site, notes)
        print(f"last: {last}; {verdict}")
    assert (verdict.missing, verdict.wrong, verdict.double) == ([], [], [])
    assert (verdict.unseen, verdict.disorderly) == ([], [])
    assert collector.ended_by_itself == []
    assert site.world.offences() == []
    assert num_restarts == 2 and collector.num_kills > 2
    assert verdict.num_votes > 0 and verdict.num_required > 0 and verdict.num_tombstones > 0
    assert min(notes.counts[what] for what in ("created", "edited", "skipped", "deleted", "tasks deleted")) > 0
    again = collector.once("--full")
    assert again.startswith("0 new votes, 0 skipped,") and "edited" not in again and "deleted" not in again


def lasting(site: Site, collector: chaos.Collector, notes: chaos.Notes) -> int:
    """The chaos itself; how often the server was started anew."""
    ending = threading.Event()
    tasks = Tasks(site)
    tasks.look()
    sessions = [chaos.session(site.studio.url, email, password) for email, password in site.people.items()]
    owner = chaos.session(site.studio.url, OPERATOR, PASSWORD)
    project = site.connection.project
    writers = [
        chaos.Writer(client, project, tasks.numbers, notes, SEED + number) for number, client in enumerate(sessions)
    ]
    hands = [chaos.repeatedly(one.act, ending, (0.02, 0.25), SEED + place) for place, one in enumerate(writers)]
    hands.append(
        chaos.repeatedly(chaos.Owner(owner, project, tasks.numbers, notes, SEED).act, ending, (0.5, 2.5), SEED)
    )
    hands.append(chaos.repeatedly(tasks.publish_again, ending, (6.0, 10.0), SEED))
    hands.append(threading.Thread(target=collector.watch, args=(ending,)))
    hands[-1].start()
    num_restarts = 0
    try:
        for grace_s in (5.0, 0.0):  # asked to end; killed
            time.sleep(CHAOS_S / 3)
            site.studio.server.stop(grace_s=grace_s)
            site.studio.start(print)
            num_restarts += 1
        time.sleep(CHAOS_S / 3)
    finally:
        ending.set()
        for hand in hands:
            hand.join()
        for client in (*sessions, owner):
            client.close()
    return num_restarts


class Tasks:
    """What is up, as far as writers know; and publishing, which puts up again what was deleted."""

    def __init__(self, site: Site) -> None:
        self.site, self.known = site, [0]

    def numbers(self) -> list[int]:
        return self.known

    def look(self) -> None:
        with self.site.board() as board:
            self.known = list(board.numbers().values())

    def publish_again(self) -> None:
        with self.site.board() as board:
            self.site.world.put_up(self.site.world.showings(board=board.name), board)
        self.look()


# Judging: against the server's own database.


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    missing: list[str]
    wrong: list[str]
    double: list[str]
    unseen: list[str]
    """States that stood during a whole collection, and of which history knows nothing."""
    disorderly: list[str]
    num_answers: int
    num_votes: int
    num_events: int
    num_tombstones: int
    num_states: int
    num_required: int

    def __str__(self) -> str:
        return (
            f"server: {self.num_answers} answers, warehouse: {self.num_votes} votes;"
            f" missing {len(self.missing)}, wrong {len(self.wrong)}, double {len(self.double)};"
            f" history: {self.num_events} events, {self.num_tombstones} tombstones,"
            f" {len(self.disorderly)} answers out of order; of {self.num_states} acknowledged states"
            f" {self.num_required} stood during a whole collection, {len(self.unseen)} of these unseen"
        )


def judged(site: Site, notes: chaos.Notes) -> Verdict:
    events: list[VoteEvent] = site.world.records("vote_event")
    votes: list[Vote] = site.world.records("vote")
    history: dict[int, list[VoteEvent]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.collection):
        history[event.answer].append(event)
    truth = {row["id"]: row for row in annotations(site)}
    by_id = {vote.vote_id: vote for vote in votes}
    missing, wrong = [], []
    for answer, row in truth.items():
        last = history[answer][-1] if history[answer] else None
        if last is None or last.kind == "deleted":
            missing.append(f"{answer} {row}")
        elif problem := differs(site, row, last, by_id.get(last.vote_id or "")):
            wrong.append(f"{answer}: {problem}")
    standing = [answer for answer, each in history.items() if each and each[-1].kind != "deleted"]
    wrong += [f"{answer} stands here and is gone there" for answer in standing if answer not in truth]
    told = Counter([vote.vote_id for vote in votes] + [event.event_id for event in events])
    moments = Counter((event.answer, event.collection) for event in events)
    required = list(states_during_a_collection(site, notes))
    return Verdict(
        missing=missing,
        wrong=wrong + [vote.vote_id for vote in votes if vote.vote_id not in {event.vote_id for event in events}],
        double=[str(one) for one, num in (told + moments).items() if num > 1],
        unseen=[str(state) for state in required if not is_in(state, history[state.annotation])],
        disorderly=[str(answer) for answer, each in history.items() if not is_in_order(each)],
        num_answers=len(truth),
        num_votes=len(votes),
        num_events=len(events),
        num_tombstones=sum(event.kind == "deleted" for event in events),
        num_states=len(notes.states),
        num_required=len(required),
    )


def annotations(site: Site) -> list[dict[str, Any]]:
    """What stands in the server's tables."""
    database = site.database
    address = ["-h", database.host, "-p", str(database.port), "-U", database.user, "-d", database.name]
    psql = str(next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"), reverse=True)), "psql"))
    query = (
        "SELECT a.id, a.task_id, a.completed_by_id, a.result, a.was_cancelled, a.updated_at,"
        " t.data->>'showing_id' AS showing FROM task_completion a JOIN task t ON t.id = a.task_id"
    )
    return chaos.rows(psql, address, database.password, query)


def differs(site: Site, row: Mapping[str, Any], last: VoteEvent, vote: Vote | None) -> str:
    """How what stands here differs from what stands there; empty: it does not."""
    showing = site.world.showing(int(row["showing"].removeprefix("showing_")))
    outcome = None if row["was_cancelled"] else outcome_of(row["result"])
    expected = outcome.swapped() if outcome and showing.is_swapped else outcome
    found: dict[str, tuple[object, object]] = {
        "task": (last.task, row["task_id"]),
        "pair": (last.pair_id, showing.pair_id),
        "annotator": (last.annotator, site.names[row["completed_by_id"]]),
        "outcome": (last.outcome, expected),
        "skip": (last.is_skip, row["was_cancelled"]),
        "time": (time_of(last.at), time_of(row["updated_at"])),
        "vote": (vote is not None, not row["was_cancelled"]),
    }
    if vote is not None:
        found["outcome of the vote"] = (vote.outcome, expected)
        found["pair of the vote"] = (vote.pair_id, showing.pair_id)
    return ", ".join(f"{name} {here!r}, there {there!r}" for name, (here, there) in found.items() if here != there)


def outcome_of(result: Any) -> Outcome:
    return parse_result(json.loads(result) if isinstance(result, str) else result).outcome


def states_during_a_collection(site: Site, notes: chaos.Notes) -> Iterator[chaos.State]:
    """States that stood from the end of one collection to the end of the next, and so all through the second."""
    ends = chaos.collections(site.world.home)
    for state, since, until in notes.visible():
        place = bisect.bisect_left(ends, since)
        if place + 1 < len(ends) and ends[place + 1] < until:
            yield state


def is_in(state: chaos.State, history: list[VoteEvent]) -> bool:
    for event in history:
        answer = json.loads(event.raw)
        said = "skip" if answer["was_cancelled"] else str(outcome_of(answer["result"]))
        if said == state.said and event.task == state.task:
            return True
    return False


def is_in_order(history: list[VoteEvent]) -> bool:
    """Cast, then edited any number of times, each later than the one before, then perhaps deleted."""
    kinds = [str(event.kind) for event in history]
    times = [time_of(event.at) for event in history if event.kind != "deleted"]
    expected = ["cast", *["edited"] * (len(times) - 1), *["deleted"] * (len(history) - len(times))]
    return kinds == expected and kinds.count("deleted") <= 1 and times == sorted(times)
