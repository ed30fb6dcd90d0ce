"""`likeness export triplets`: <references, prompt, original video> of every curated clip (Identity-GRPO 2.1.1), as a
folder for whoever trains on them with other code."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from flows.export_folder import LINES, ROWS, Altered, ExportFolder
from flows.generate import splits_of_clips
from flows.progress import Progress
from flows.recipe import Recipe
from flows.settings import Settings
from flows.stages.footage import Footage
from warehouse import gates, queries
from warehouse.errors import NothingToDo
from warehouse.files import full_disk_told
from warehouse.gates import Step
from warehouse.media import MediaStore
from warehouse.sql import Row

MOST_SUBJECTS = 3
"""Identity-GRPO, 2.1.1."""
CLIPS_AT_ONCE = 1024
"""Whose rows are in memory together."""

REFERENCE = pa.struct(
    [
        ("subject_id", pa.string()),
        ("subject_index", pa.int32()),
        ("identity_id", pa.string()),
        ("phrase", pa.string()),
        ("view", pa.string()),
        ("is_resynthesised", pa.bool_()),
        ("identity_score", pa.float64()),
        ("sha256", pa.string()),
        ("path", pa.string()),
    ]
)
SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("source_id", pa.string()),
        ("source_file", pa.string()),
        ("split", pa.string()),
        ("prompt", pa.string()),
        ("num_subjects", pa.int32()),
        ("references", pa.list_(REFERENCE)),
        ("video_kind", pa.string()),
        ("video_sha256", pa.string()),
        ("video_path", pa.string()),
        ("start_frame", pa.int64()),
        ("end_frame", pa.int64()),
        ("source_start_frame", pa.int64()),
        ("frame_rate_num", pa.int64()),
        ("frame_rate_den", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export holds."""

    num_triplets: int
    left_out: Mapping[str, int]
    """Curated clips without a triplet, by reason."""


def export_triplets(
    settings: Settings, recipe: Recipe, folder: Path, *, dataset: str | None, progress: Progress
) -> Exported:
    """Write the folder, go on with one that was begun, or bring a finished one up to date.

    The warehouse is asked once, and is free while files are placed.
    """
    stage, candidates = _last_of_curation(recipe), _candidates(recipe)
    with full_disk_told(folder):
        export = ExportFolder(folder, schema=SCHEMA)
        with settings.warehouse.session() as session:
            gates.judge(session, recipe.steps, dataset=dataset)
            num_clips = queries.write_triplets(session, export.scratch, stage, candidates)
            splits = splits_of_clips(session, recipe)
        if not num_clips:
            export.scratch.unlink()
            raise NothingToDo("no clip passed the curation; `likeness funnel` shows how far the clips came")
        left_out: Counter[str] = Counter()
        num_triplets = export.write(_rows(export, settings.media, splits, left_out, num_clips, progress))
        facts = {
            "profile": recipe.profile,
            "recipe_key": recipe.key,
            "stages": recipe.described(),
            "num_triplets": num_triplets,
            "left_out": dict(left_out),
        }
        export.finish(facts, card=_card(num_triplets, left_out))
    return Exported(num_triplets=num_triplets, left_out=dict(left_out))


def _last_of_curation(recipe: Recipe) -> str:
    stages = [each.step.stage for each in recipe.stages if each.flow != "generate" and each.step.noun == "clip"]
    if not stages:
        raise NothingToDo(f"profile {recipe.profile} curates no clips")
    return stages[-1]


def _candidates(recipe: Recipe) -> Step | None:
    """The step that cuts the originals out of the clips."""
    cutting = [step for step in recipe.steps if step.noun == "clip" and hasattr(step.fact, "first_frame")]
    return cutting[-1] if cutting else None


def _rows(
    export: ExportFolder,
    media: MediaStore,
    splits: Mapping[str, str],
    left_out: Counter[str],
    num_clips: int,
    progress: Progress,
) -> Iterator[Row]:
    """A row a clip, its media placed; clips that have none are counted in `left_out`, by reason."""
    for batch in pq.ParquetFile(export.scratch).iter_batches(CLIPS_AT_ONCE):
        for clip in batch.to_pylist():
            try:
                yield _row(clip, export, media) | {"split": splits.get(clip["clip_id"])}
            except _LeftOut as error:
                left_out[str(error)] += 1
                export.forget()
        progress.advance(batch.num_rows, num_clips)


class _LeftOut(Exception):
    """A clip has no triplet; the text says why, in words that many clips share."""


def _row(clip: Row, export: ExportFolder, media: MediaStore) -> Row:
    people = clip["people"] or []
    shown = people[:MOST_SUBJECTS]
    if not clip["prompt"]:
        raise _LeftOut("no prompt")
    if not shown:
        raise _LeftOut("no subject")
    if any(person["sha256"] is None for person in shown):
        raise _LeftOut("subject without a reference")
    footage = Footage(
        path=Path(clip["path"]), member=clip["member"], offset=clip["offset"], num_bytes=clip["num_bytes"]
    )
    try:
        references = [person | {"path": _linked(person["sha256"], export, media, suffix=".png")} for person in shown]
        video = _video(clip, footage, export, media)
    except Altered as error:
        raise _LeftOut("file missing or changed") from error
    kept = {name: clip[name] for name in ("clip_id", "source_id", "prompt", "frame_rate_num", "frame_rate_den")}
    return kept | {"source_file": footage.name, "num_subjects": len(people), "references": references} | video


def _video(clip: Row, footage: Footage, export: ExportFolder, media: MediaStore) -> Row:
    """The original among the candidates; where none was made yet, the source's file and the clip's span of it."""
    if clip["original_sha256"] is not None:
        return {
            "video_kind": "candidate",
            "video_sha256": clip["original_sha256"],
            "video_path": _linked(clip["original_sha256"], export, media, suffix=".mp4"),
            "start_frame": 0,
            "end_frame": clip["num_frames"],
            "source_start_frame": clip["first_frame"],
        }
    suffix = PurePosixPath(footage.name).suffix.lower() or ".mp4"
    if footage.offset is None:
        path = export.link(clip["sha256"], footage.path, suffix=suffix, is_trusted=False)
    else:
        path = export.copy(clip["sha256"], footage, suffix=suffix)
    return {
        "video_kind": "source",
        "video_sha256": clip["sha256"],
        "video_path": path,
        "start_frame": clip["start_frame"],
        "end_frame": clip["end_frame"],
        "source_start_frame": clip["start_frame"],
    }


def _linked(sha256: str, export: ExportFolder, media: MediaStore, *, suffix: str) -> str:
    return export.link(sha256, media.root / media.relative_path(sha256), suffix=suffix, is_trusted=True)


def _card(num_triplets: int, left_out: Mapping[str, int]) -> str:
    configs = ["configs:", "- config_name: triplets", "  default: true", f"  data_files: {ROWS}"]
    told = "".join(f"- {num} clips left out: {reason}\n" for reason, num in sorted(left_out.items()))
    return (
        "---\n" + "\n".join(configs) + "\n---\n"
        f"# {num_triplets} triplets\n\nReference pictures of at most {MOST_SUBJECTS} people from left to right, a"
        " prompt, and the original video that shows them.\n"
        "Frames `[start_frame, end_frame)` of `video_path` are the clip; paths are relative to this folder;"
        " `num_subjects` counts all people found, those past the third too.\n"
        "`split` keeps people apart: nobody in `test` is in `train`; it is empty where a clip's people stand on both"
        " sides.\n"
        "`video_kind` is `candidate` (a window of the clip, encoded as generated videos are) or `source` (the whole"
        " file as it came).\n\n"
        f"`{LINES}` holds the same rows as text. Media may be links to the files that they come from: change copies"
        f" of them, not them.\n\n{told}"
    )
