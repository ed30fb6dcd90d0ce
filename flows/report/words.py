"""What names of the recipe mean, for a reader who has not seen it. A name that is not here stands for itself."""

import inspect
from collections.abc import Mapping

from flows.sources import entries, folder
from flows.stages.stage import Stage
from warehouse.gates import UNKNOWN, Gate

ARRIVALS: Mapping[str, str] = {
    "source": "video files taken in as sources",
    folder.FILE_ALONE: "video files taken in without a caption",
    folder.CAPTION_ALONE: "captions whose file is not there",
    folder.DUPLICATE_ROW: "captions for a file that has another already",
    entries.FILE_ALONE: "video files that no row of the data set names",
    entries.ROW_ALONE: "rows whose file is not there",
    entries.DUPLICATE_ROW: "rows for a file that has another already",
    entries.ROW_SAYS_NONE: "clips in which the data set found no face",
    entries.BROKEN_ROW: "rows that cannot be right",
    entries.OUTSIDE: "links or paths that lead out of the folder, not followed",
    entries.BROKEN_LINK: "links that lead nowhere",
    entries.BROKEN_TAR: "tars that are damaged or lack a split",
    entries.CLOSED_FOLDER: "folders that may not be read",
    entries.EMPTY: "video files taken in that hold nothing",
    entries.UNREADABLE: "files that may not be read",
    entries.UNREADABLE_NAME: "files whose name is not UTF-8",
    "repaired path": "files found under another name or in another folder than their row says (counted above, too)",
    "duplicate of another entry": "files equal to another, with the same caption",
}

STAGES: Mapping[str, str] = {
    "annotations": "Takes down what came with the data set",
    "shots": "Finds the cuts: every shot becomes a clip",
    "quality": "Measures length, brightness, sharpness and motion",
    "captions": "Reads from the caption who should be in the clip",
    "faces": "Looks for faces in a few frames",
    "subjects": "Finds each person: box, mask, face, identity",
    "references": "Makes pictures of each person to generate from",
    "fingerprint": "Hashes frames, so that twins can be found",
    "duplicates": "Looks for clips that show the same as an earlier one",
    "candidates": "Makes the videos that will be compared",
    "likeness": "Measures how like their references the people stay",
    "text_video": "Measures how well a video shows what its prompt says, where there is a scorer",
}

GATES: Mapping[str, str] = {
    "length": "too short",
    "luminance": "too dark",
    "blur": "too blurred",
    "motion": "hardly anything moves",
    "caption": "no caption",
    "face_frontal_share": "too few frames in which somebody looks into the camera",
    "subjects_min": "nobody found",
    "subjects_max": "too many people",
    "identity_score_min": "a reference does not look enough like its person",
    "copy_paste": "a reference is little more than a piece of the clip itself",
    "face_px_min": "a reference's face is too small",
    "sharpness_min": "a reference is not sharp",
    "near_duplicate": "shows the same as an earlier clip",
    "num_candidates": "too few candidates to compare",
    "faces_given": "the data set found no face",
    "masks_given": "the data set masked nobody",
    "aesthetic": "not pleasing enough, by the data set's own score",
    "technical": "technically poor, by the data set's own score",
    "mask_area_share_min": "somebody is too small in the picture",
}


def of_arrival(name: str) -> str:
    return ARRIVALS.get(name, name)


def of_stage(stage: Stage[object, object]) -> str:
    """A line on what it does: from above, or its own docstring's first."""
    return STAGES.get(stage.name) or (inspect.getdoc(type(stage)) or "").partition("\n")[0]


def of_drop(reason: str, gate: Gate | None) -> str:
    """Why an item was dropped, from the reason that the ledger of gates gave."""
    name = reason.removesuffix(UNKNOWN)
    if name != reason:
        return f"{name.replace('_', ' ')} could not be told"
    if name in GATES:
        return GATES[name]
    return f"{name.replace('_', ' ')} is not {gate.op} {gate.threshold:g}" if gate else name


def of_gate(gate: Gate) -> str:
    """`blur >= 5`."""
    return f"{gate.measure} {gate.op} {gate.threshold:g}"


def of_value(value: object) -> str:
    """A measured value, short."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
