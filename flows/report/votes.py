"""The part of a report on pairs, votes and labels: the labels of the voters and the policy that the recipe names."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from flows.label_choice import choice_of
from flows.recipe import Recipe
from flows.report import pictures
from flows.report.content import AnnotatorRow, LabelRow, Labels, RivalRow, ShownPair, ShownReference, ShownVote, Side
from flows.report.curation import shown_references, span_of
from flows.stages.candidates import best_references
from warehouse import queries, tables, vote_queries
from warehouse.database import Session
from warehouse.gates import Step
from warehouse.media import MediaStore
from warehouse.records import Origin, Outcome, Reference, Subject, Vote
from warehouse.sql import Row


def shown_pairs(session: Session, recipe: Recipe, media: MediaStore) -> tuple[ShownPair, ...]:
    """A pair with a winner, a tie, and one without a label, as far as there are any."""
    choice = choice_of(recipe)
    rows = queries.pairs_to_show(session, choice.origin, choice.policies)
    votes: dict[str, list[Vote]] = defaultdict(list)
    for vote in vote_queries.votes_of_pairs(session, [row["pair_id"] for row in rows]):
        votes[vote.pair_id].append(vote)
    source_ids = sorted({row["source_id"] for row in rows})
    references = tables.from_arrow(Reference, queries.in_play(session, "reference", source_ids))
    subjects = tables.from_arrow(Subject, queries.in_play(session, "subject", source_ids))
    order = {subject.subject_id: subject.subject_index for subject in subjects}
    similarity = _face_similarities(session, recipe.steps, source_ids)
    return tuple(
        _shown(row, votes[row["pair_id"]], _references(references, row["clip_id"], order, media), similarity, media)
        for row in rows
    )


def labels(session: Session, recipe: Recipe) -> Labels | None:
    """None where nobody has voted yet."""
    choice = choice_of(recipe)
    origin, policies = choice.origin, choice.policies
    rows = vote_queries.label_counts(session, origin, policies)
    annotators = vote_queries.annotators(session, origin, policies)
    if not rows or not annotators:
        return None
    return Labels(
        policy=choice.name,
        origin=origin.value,
        rows=tuple(_label_row(split, rows) for split in sorted({row["split"] for row in rows}, reverse=True)),
        annotators=tuple(AnnotatorRow(**row) for row in annotators),
        rivals=tuple(RivalRow(**row) for row in vote_queries.originals_against(session, origin, policies)),
    )


def _shown(
    row: Row,
    votes: Sequence[Vote],
    references: tuple[ShownReference, ...],
    similarity: Mapping[str, float | None],
    media: MediaStore,
) -> ShownPair:
    return ShownPair(
        pair_id=row["pair_id"],
        kind=row["kind"],
        span=span_of(row),
        prompt=row["caption"],
        split=row["split"],
        sides=(_side("A", row, similarity, media), _side("B", row, similarity, media)),
        references=references,
        votes=tuple(map(_vote, votes)),
        outcome=row["outcome"],
        reason=row["reason"],
    )


def _side(name: str, row: Row, similarity: Mapping[str, float | None], media: MediaStore) -> Side:
    low = name.lower()
    generator, sha256 = row[f"generator_{low}"], row[f"sha256_{low}"]
    return Side(
        name=name,
        generator=generator,
        severity=row[f"severity_{low}"],
        identity_mean=similarity.get(row[f"candidate_{low}"]),
        video=pictures.video(media.root / media.relative_path(sha256), f"video {name}: {generator}"),
    )


def _vote(vote: Vote) -> ShownVote:
    return ShownVote(
        annotator=vote.annotator,
        origin=vote.origin.value,
        outcome=vote.outcome.value if vote.outcome else "abstained" if vote.origin is Origin.VLM else "video broken",
        is_known=vote.is_known,
        is_repeat=vote.purpose.is_repeat,
        is_swapped=vote.is_swapped,
        seconds=vote.seconds,
        comment=vote.comment,
    )


def _references(
    references: Sequence[Reference], clip_id: str, order: Mapping[str, int], media: MediaStore
) -> tuple[ShownReference, ...]:
    """The best reference of each of the clip's subjects, from left to right: what the annotators see."""
    best = best_references(each for each in references if each.clip_id == clip_id)
    return shown_references([best[subject_id] for subject_id in sorted(best, key=lambda each: order[each])], media)


def _face_similarities(
    session: Session, steps: Sequence[Step], source_ids: Sequence[str]
) -> Mapping[str, float | None]:
    """Mean similarity of the faces to their references by candidate, where a stage measured it."""
    measuring = [step for step in steps if step.noun == "candidate" and hasattr(step.fact, "identity_mean")]
    rows = [row for step in measuring for row in queries.facts(session, step, source_ids).to_pylist()]
    return {row["item_id"]: row["identity_mean"] for row in rows}


def _label_row(split: str, rows: Sequence[Row]) -> LabelRow:
    of_split = [row for row in rows if row["split"] == split]
    settled = Counter[str]()
    for row in of_split:
        if row["outcome"]:
            settled[row["outcome"]] += row["num_labels"]
    return LabelRow(
        split=split,
        num_a=settled.get(Outcome.A, 0),
        num_tie=settled.get(Outcome.TIE, 0),
        num_b=settled.get(Outcome.B, 0),
        unsettled=tuple((row["reason"], row["num_labels"]) for row in of_split if row["outcome"] is None),
    )
