"""Questions to the warehouse: one function a file of `sql/`, values always bound."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from warehouse import tables
from warehouse.database import Session
from warehouse.gates import Step
from warehouse.records import Candidate, Pair
from warehouse.snapshot import PART
from warehouse.sql import Row, ask, dicts, listed, text

Relation = Literal["verdict", "known"]
"""What is asked about: what reaches its stage now (after `gates.judge`), or all that was ever measured by the stages
as they are configured now (after `gates.recall`)."""


def funnel(session: Session, steps: Sequence[Step]) -> list[Row]:
    """A row a stage in the order of the road, with zeros where nothing arrived. After `gates.judge`."""
    counted = {row["stage"]: row for row in ask(session, "funnel")}
    zero = {"num_in": 0, "passed": 0, "dropped": 0, "failed": 0, "pending": 0}
    return [counted.get(step.stage, {"stage": step.stage, "noun": step.noun, **zero}) for step in steps]


def reasons(session: Session) -> list[Row]:
    """Why items were dropped or failed, most frequent first. After `gates.judge`."""
    return ask(session, "reasons")


def arrivals(session: Session, dataset: str | None = None) -> list[Row]:
    """What ingest found: sources, and entries that are none, by problem."""
    return ask(session, "arrivals", {"dataset": dataset})


def batches_listed(session: Session, dataset: str, unreadable: str) -> list[Row]:
    """The batches of a data set's listing that are as they should be, with the bundles that they need."""
    return ask(session, "batches_listed", {"dataset": dataset, "unreadable": unreadable})


def files_looked_at(session: Session, dataset: str, asked: pa.Table) -> list[Row]:
    """What the listing remembers of files, by path and offset."""
    with tables.shown(session, asked):
        return ask(session, "files_looked_at", {"dataset": dataset})


def settle_listing(session: Session, dataset: str, duplicate: str) -> None:
    """Call entries `duplicate` that are the same source as an earlier one; let each source lie where the first is."""
    for name in ("mark_duplicates", "move_sources"):
        session.execute(text(name), {"dataset": dataset, "duplicate": duplicate})


def entries_of_name(session: Session, name: str) -> list[Row]:
    """Entries of the listing that are no sources and that `name` may mean."""
    return ask(session, "entries_of_name", {"name": name})


def cross_pair_batches(session: Session, dataset: str) -> list[str]:
    """The batches that a data set's cross-video pairs came in."""
    return [row["batch"] for row in ask(session, "cross_pair_batches", {"dataset": dataset})]


def unbalanced(session: Session) -> list[Row]:
    """Items that a stage counted twice. After `gates.judge`."""
    return ask(session, "unbalanced")


def sources_of_name(session: Session, name: str) -> list[str]:
    """Sources that `name` may mean: the beginning of their id or a clip's, or a part of their path."""
    return [row["source_id"] for row in ask(session, "sources_of_name", {"name": name})]


def outcomes_of_clip(session: Session, clip_id: str) -> list[Row]:
    """A clip's pairs with their votes and labels, in words."""
    return ask(session, "outcomes_of_clip", {"clip_id": clip_id})


def exception(session: Session, fact_key: str) -> str | None:
    """What a failed item ran into."""
    rows = ask(session, "exception", {"fact_key": fact_key})
    return rows[0]["exception"] if rows else None


def verdicts(session: Session, stage: str) -> dict[str, str]:
    """The verdict on each item that reached a stage. After `gates.judge`."""
    return {row["item_id"]: row["verdict"] for row in ask(session, "verdicts", {"stage": stage})}


def failed_items(session: Session, stage: str, reason: str | None) -> list[Row]:
    """The last ledger row of each item that failed at a stage, for one reason or any. After `gates.judge`."""
    return ask(session, "failed_items", {"stage": stage, "reason": reason})


def work_since(session: Session, since: datetime) -> list[Row]:
    """A row a stage: what was measured since then (UTC), what became of it, and its seconds. After `gates.judge`."""
    return ask(session, "work_since", {"since": since})


def seconds_of_sources(session: Session, since: datetime) -> list[Row]:
    """A row a source: the seconds spent on it since then (UTC). After `gates.judge`."""
    return ask(session, "seconds_of_sources", {"since": since})


def yields_of_shards(session: Session, since: datetime) -> list[Row]:
    """A row a stage and shard: items measured and passed, and whether it is newer (UTC). After `gates.judge`."""
    return ask(session, "yields_of_shards", {"since": since})


def num_pending_sources(session: Session) -> int:
    """How many sources have something left to measure. After `gates.recall`."""
    return int(session.execute("SELECT count(*) FROM pending_source").fetchall()[0][0])


def fact(session: Session, step: Step, fact_key: str) -> Row | None:
    """One fact of a stage, by its key."""
    rows = dicts(session.execute(f'SELECT * FROM "{step.table}" WHERE fact_key = ?', [fact_key]))
    return rows[0] if rows else None


def story(session: Session, item_ids: Sequence[str]) -> list[Row]:
    """The verdicts on these items. After `gates.judge`."""
    return ask(session, "story", {"item_ids": list(item_ids)})


def newest_snapshot(session: Session) -> str | None:
    """The id of the snapshot frozen last."""
    rows = ask(session, "newest_snapshot")
    return rows[0]["snapshot_id"] if rows else None


def noun_counts(session: Session) -> Row:
    """How many of each noun there are."""
    return ask(session, "noun_counts")[0]


def in_play(session: Session, noun: str, source_ids: Sequence[str] | None = None) -> pa.Table:
    """Records of a noun that came with a current fact, with their `source_id` first, ordered by it and by id.

    `source_ids` restricts them. After `gates.judge`.
    """
    return _in_play(session, noun, "verdict", source_ids).to_arrow_table()


def facts(session: Session, step: Step, source_ids: Sequence[str] | None = None) -> pa.Table:
    """Current facts of a stage, with `source_id` and `item_id` first, ordered by them. After `gates.judge`."""
    return _facts(session, step, "verdict", source_ids).to_arrow_table()


def sources(session: Session, source_ids: Sequence[str]) -> pa.Table:
    """These sources, ordered by id."""
    return session.execute(text("sources"), {"source_ids": list(source_ids)}).to_arrow_table()


UNFINISHED = "unfinished"
"""Items that failed, or were reopened after they had."""


def write_pending(session: Session, folder: Path, steps: Sequence[Step], nouns: Sequence[str]) -> int:
    """Write the pending sources and all that is known of them, and give their number. After `gates.recall`.

    Parquet files ordered by `source_id`: `source`, one a noun, one a stage, and `UNFINISHED`. Rows are streamed:
    what is pending may be more than fits into memory.
    """
    num_sources = tables.write_parquet(session.execute(text("pending_sources")), folder / "source.parquet")
    tables.write_parquet(session.execute(text("unfinished")), folder / f"{UNFINISHED}.parquet")
    for noun in nouns:
        tables.write_parquet(_in_play(session, noun, "known"), folder / f"{noun}.parquet")
    for step in steps:
        tables.write_parquet(_facts(session, step, "known"), folder / f"{step.table}.parquet")
    return num_sources


def _in_play(session: Session, noun: str, among: Relation, source_ids: Sequence[str] | None = None) -> Session:
    columns = ", ".join(f'n."{name}"' for name, _ in tables.sql_columns(tables.NOUNS[noun]) if name != "source_id")
    return session.execute(
        f"WITH current AS (SELECT DISTINCT fact_key, source_id FROM {among}"
        " WHERE ?::VARCHAR[] IS NULL OR source_id IN (SELECT unnest(?::VARCHAR[])))"
        f' SELECT c.source_id, {columns} FROM "{noun}" n JOIN current c USING (fact_key) ORDER BY 1, n.{noun}_id',
        [source_ids, source_ids],
    )


def _facts(session: Session, step: Step, among: Relation, source_ids: Sequence[str] | None = None) -> Session:
    columns = ", ".join(f'f."{name}"' for name, _ in tables.sql_columns(step.fact))
    return session.execute(
        f'SELECT v.source_id, v.item_id, {columns} FROM "{step.table}" f JOIN {among} v USING (fact_key)'
        " WHERE v.stage = ? AND (?::VARCHAR[] IS NULL OR v.source_id IN (SELECT unnest(?::VARCHAR[])))"
        " ORDER BY v.source_id, v.item_id",
        [step.stage, source_ids, source_ids],
    )


def identities_of_clips(session: Session) -> list[Row]:
    """Who is in which clip."""
    return ask(session, "identities_of_clips")


def write_triplets(session: Session, path: Path, stage: str, candidates: Step | None) -> int:
    """Stream every clip that passed a stage, with references and original, into a Parquet file, ordered by id; how many
    there are. `candidates` is the step that made the originals, if a recipe has one. After `gates.judge`."""
    windows = (
        f'SELECT f.fact_key, f.first_frame, f.num_frames FROM "{candidates.table}" f'
        " WHERE f.fact_key IN (SELECT fact_key FROM verdict)"
        if candidates
        else "SELECT NULL AS fact_key, NULL AS first_frame, NULL AS num_frames WHERE false"
    )
    session.execute(f"CREATE OR REPLACE TEMP VIEW candidate_window AS {windows}")
    return tables.write_parquet(session.execute(text("triplets"), {"stage": stage}), path)


def passed_candidates(session: Session, stage: str) -> pa.Table:
    """Candidates that passed this stage, ordered by id. After `gates.judge`."""
    return session.execute(text("passed_candidates"), {"stage": stage}).to_arrow_table()


def prompts(session: Session) -> list[Row]:
    """The text of each clip."""
    return ask(session, "prompts")


def pairs_in_play(session: Session, stage: str) -> list[Pair]:
    """Pairs of candidates that passed this stage, ordered by id. After `gates.judge`."""
    return tables.from_arrow(Pair, session.execute(text("pairs_in_play"), {"stage": stage}).to_arrow_table())


def settled_pairs(session: Session, origin: str, policies: Sequence[str], stage: str) -> list[Row]:
    """Pairs that have an outcome, of candidates that passed this stage. After `gates.judge`."""
    return ask(session, "settled_pairs", {"origin": origin, "policies": list(policies), "stage": stage})


def frozen_clips(session: Session, clip_ids: Sequence[str]) -> list[Row]:
    """What a snapshot says of clips, but for the split. After `gates.judge`."""
    return ask(session, "frozen_clips", {"clip_ids": list(clip_ids)})


def frozen_candidates(
    session: Session, clip_ids: Sequence[str], candidate_ids: Sequence[str] | None = None
) -> list[Row]:
    """What a snapshot says of all candidates of these clips, or of some of them. After `gates.judge`."""
    chosen = None if candidate_ids is None else list(candidate_ids)
    return ask(session, "frozen_candidates", {"clip_ids": list(clip_ids), "candidate_ids": chosen})


def frozen_references(session: Session, clip_ids: Sequence[str]) -> list[Row]:
    """What a snapshot says of all references of these clips. After `gates.judge`."""
    return ask(session, "frozen_references", {"clip_ids": list(clip_ids)})


def frozen_votes(
    session: Session, pair_ids: Sequence[str], origin: str, judge_keys: Sequence[str], left_out: Sequence[str] = ()
) -> list[Row]:
    """What a snapshot says of the votes on these pairs; of models' votes those of these inferences count, and of
    nobody's those of annotators who are left out."""
    values = {"pair_ids": list(pair_ids), "origin": origin, "judge_keys": list(judge_keys), "left_out": list(left_out)}
    return ask(session, "frozen_votes", values)


def originals(session: Session, candidate_ids: Sequence[str]) -> frozenset[str]:
    """Which of these candidates are their clips' own videos."""
    rows = ask(session, "originals", {"candidate_ids": list(candidate_ids)})
    return frozenset(row["candidate_id"] for row in rows)


def pair_ids(session: Session, among: Sequence[str] | None = None) -> list[str]:
    """Every pair's id, or those of these that there are, in order."""
    return [row["pair_id"] for row in ask(session, "pair_ids", {"among": listed(among)})]


def pairs(session: Session, pair_ids: Sequence[str] | None = None) -> list[Pair]:
    """These pairs, as far as there are any, or all, ordered by id."""
    return tables.from_arrow(Pair, session.execute(text("pairs"), {"pair_ids": listed(pair_ids)}).to_arrow_table())


ORPHANS = (
    "votes_without_a_pair",
    "pairs_without_their_candidates",
    "clips_without_a_source",
    "subjects_without_a_clip",
    "labels_that_mix_origins",
    "labels_from_nowhere",
    "votes_that_no_event_explains",
    "standing_events_without_their_vote",
    "answers_that_a_collection_saw_twice",
)
"""Queries that find nothing in a sound warehouse."""


def orphans(session: Session, name: str) -> list[Row]:
    """The offenders that one of `ORPHANS` finds."""
    return ask(session, name)


def yields_of_references(session: Session, keep_from: float) -> list[Row]:
    """How many references each synthesizer made with each view, and how many are still the same person: identity score
    of `keep_from` and more. After `gates.judge`."""
    return ask(session, "yields_of_references", {"keep_from": keep_from})


def repeated(session: Session, table: str, keys: Sequence[str]) -> list[Row]:
    """Keys that stand more than once in a table."""
    listed = ", ".join(f'"{key}"' for key in keys)
    cursor = session.execute(
        f'SELECT {listed}, count(*) AS times FROM "{table}" GROUP BY {listed} HAVING count(*) > 1 ORDER BY {listed}'
    )
    return dicts(cursor)


def done_without_fact(session: Session, step: Step) -> list[Row]:
    """Ledger rows of a stage that say `done` where no fact is."""
    return dicts(
        session.execute(
            f'SELECT item_id, fact_key FROM ledger ANTI JOIN "{step.table}" USING (fact_key)'
            " WHERE stage = ? AND outcome = 'done' ORDER BY item_id",
            [step.stage],
        )
    )


def shown_items(session: Session, most: int) -> list[Row]:
    """Dropped and failed items, some of each reason, with where they come from. After `gates.judge`."""
    return ask(session, "shown_items", {"most": most})


def counts_in_play(session: Session) -> Row:
    """How many of each noun belong to what was judged. After `gates.judge`."""
    return ask(session, "counts_in_play")[0]


def scenes(session: Session, most: int) -> list[Row]:
    """Some clips with subjects and references. After `gates.judge`."""
    return ask(session, "scenes", {"most": most})


def identities_of_subjects(session: Session, subject_ids: Sequence[str]) -> list[Row]:
    """Who these subjects are."""
    return ask(session, "identities_of_subjects", {"subject_ids": list(subject_ids)})


def pairs_to_show(session: Session, origin: str, policies: Sequence[str]) -> list[Row]:
    """A pair of each sort: with a winner, a tie, not settled. After `gates.judge`."""
    return ask(session, "pairs_to_show", {"origin": origin, "policies": list(policies)})


def ancestors(session: Session, snapshots: Sequence[Path]) -> list[Row]:
    """What the pairs in these snapshots' folders come from."""
    parts = {"train": "data/train", "test": "data/test"} | {name: name for name in ("votes", "candidates", "clips")}
    files = {name: [str(folder / part / PART) for folder in snapshots] for name, part in parts.items()}
    return ask(session, "ancestors", files)


def candidates_of(session: Session, pair_ids: Sequence[str]) -> list[Candidate]:
    """The candidates of these pairs, each once."""
    cursor = session.execute(text("candidates_of"), {"pair_ids": list(pair_ids)})
    return tables.from_arrow(Candidate, cursor.to_arrow_table())


def faces_of_clips(session: Session, clip_ids: Sequence[str]) -> list[Row]:
    """Where the faces of these clips are, in shares of their pictures. After `gates.judge`."""
    return ask(session, "faces_of_clips", {"clip_ids": list(clip_ids)})


def chosen_references(session: Session, clip_ids: Sequence[str] | None = None) -> list[Row]:
    """Files of the references that stand for the subjects of these clips, or of all. After `gates.judge`."""
    return ask(session, "chosen_references", {"clip_ids": None if clip_ids is None else list(clip_ids)})


def records(session: Session, noun: str) -> list[Any]:
    """Every record of a noun, or of what is known of boards, ordered by id."""
    table = session.execute(f'SELECT * FROM "{noun}" ORDER BY 1').to_arrow_table()
    return tables.from_arrow({**tables.NOUNS, **tables.BOARDS}[noun], table)
