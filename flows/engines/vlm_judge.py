"""A vision-language model as a judge: it sees the references, the prompt and frames of both videos, and says which is
better, in JSON (Identity-GRPO 2.1.2; the three criteria are those its human annotators were given, 2.1.3; that identity
decides where they disagree is ours).

Several models are several `[[judge]]` tables. An answer that stays unreadable after one repair, or is cut off, is an
abstention, as is `cannot tell`: neither is a tie. A request that the service refused or broke off is no answer at all,
and may be asked again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from flows.engines.chat import SAID, Ask, Chat, NoAnswer, Turn, answers_in_json
from flows.engines.ports import Judgement, Picture, Question
from flows.engines.weights import short
from flows.stages.frames import Video, VideoUnreadable
from flows.stages.stage import Failed

VERDICTS: Mapping[str, str | None] = {"A": "A", "tie": "tie", "B": "B", "cannot tell": None}

SYSTEM = (
    "You compare two videos that were made for the same request. You judge only what the pictures show; you know"
    " nothing of how either video was made, and which of them is called A is chance. You answer with one JSON object."
)
CRITERIA = (
    "Compare video A and video B on three points:\n"
    "1. identity: are the faces those of the people in the reference pictures, from the first frame to the last, each"
    " person with their own face?\n"
    "2. quality: how good is the picture over the whole video: sharp, steady, natural in movement, free of artefacts?"
    " A video that stands still is not steady but lifeless.\n"
    "3. alignment: does the video show what the request says?\n"
    "Then decide overall; where the points disagree, identity weighs most.\n"
    'Say "A" or "B" for the better video, "tie" if neither is better, "cannot tell" if you cannot see enough to judge.'
)
FORM = (
    'Answer with JSON alone: {"reason": "<one or two sentences>", "identity": "<verdict>", "quality": "<verdict>",'
    ' "alignment": "<verdict>", "overall": "<verdict>"}, where <verdict> is one of "A", "tie", "B", "cannot tell".'
)
_VERDICT = {"type": "string", "enum": list(VERDICTS)}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "identity": _VERDICT,
        "quality": _VERDICT,
        "alignment": _VERDICT,
        "overall": _VERDICT,
    },
    "required": ["reason", "identity", "quality", "alignment", "overall"],
    "additionalProperties": False,
}
"""`reason` stands first: a model that must write it before its verdicts has thought before it decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VlmJudge:
    """One model that votes; its inferences differ by their seed, and by the sides as they are shown."""

    name: str
    """Its annotators are `name#1`, `name#2`, ..."""
    chat: Chat
    num_inferences: int = 3
    """Identity-GRPO says "several"."""
    num_frames: int = 8
    """Of each video, spread evenly over the whole of it; the paper does not say how many its judges saw."""
    longest_side_px: int = 448
    """Of frames and references alike: two videos of eight square frames and three references are then about 5,000
    tokens of Qwen2.5-VL."""

    def __post_init__(self) -> None:
        if not self.name or "#" in self.name:
            raise ValueError(f"name is {self.name!r}; give it one without #")
        if self.num_inferences < 1 or self.num_frames < 1 or self.longest_side_px < 32:
            raise ValueError(f"{self.name}: num_inferences, num_frames >= 1 and longest_side_px >= 32 are needed")
        if self.num_inferences > 1 and getattr(self.chat, "temperature", None) == 0:
            raise ValueError(
                f"{self.name}: at temperature 0 its {self.num_inferences} inferences are one; raise the chat's"
                " temperature, or ask for one"
            )

    @property
    def revision(self) -> str:
        """Of what decides answers; how many inferences there are is not among that."""
        prompt = short(SYSTEM + CRITERIA + FORM)
        return f"vlm-judge-1, {prompt}, {self.num_frames} x {self.longest_side_px} px, {self.chat.revision}"

    def load(self) -> None:
        """Load the model now, or reach its service. `EngineUnavailable` where that cannot be."""
        self.chat.load()

    def vote(self, questions: Sequence[Question]) -> list[Judgement | Failed]:
        """`Failed` where a video or a reference cannot be read, or where the service had no answer to this one."""
        shown: dict[Path, Sequence[Picture]] = {}
        asks: dict[int, Ask] = {}
        said: dict[int, Judgement | Failed] = {}
        for place, question in enumerate(questions):
            try:
                asks[place] = self._ask(question, shown)
            except VideoUnreadable as error:
                said[place] = Failed(reason=error.reason, exception=error.detail)
        for place, answer in zip(asks, answers_in_json(self.chat, list(asks.values())), strict=True):
            said[place] = judgement(answer)
        return [said[place] for place in range(len(questions))]

    def _ask(self, question: Question, shown: dict[Path, Sequence[Picture]]) -> Ask:
        parts: list[str | Picture] = []
        for number, path in enumerate(question.references, 1):
            parts += [f"Reference picture of person {number}:", self._fitted(_reference(path))]
        parts.append(f"The request: {question.prompt}" if question.prompt else "No request in words was given.")
        for name, side in (("A", question.a), ("B", question.b)):
            if side.video not in shown:
                shown[side.video] = self._frames(side.video)
            parts += [f"Video {name}, {len(shown[side.video])} frames in order:", *shown[side.video]]
        parts += [CRITERIA, FORM]
        turns = (Turn(role="system", parts=(SYSTEM,)), Turn(role="user", parts=tuple(parts)))
        return Ask(turns=turns, schema=SCHEMA, seed=question.seed)

    def _frames(self, path: Path) -> Sequence[Picture]:
        video = Video(path)
        try:
            return [self._fitted(frame.rgb) for frame in video.look(0, video.num_frames, self.num_frames)]
        finally:
            video.release()

    def _fitted(self, picture: Picture) -> Picture:
        """Its longest side at most `longest_side_px`."""
        height_px, width_px = picture.shape[:2]
        scale = self.longest_side_px / max(height_px, width_px)
        if scale >= 1:
            return picture
        size_px = (max(1, round(scale * width_px)), max(1, round(scale * height_px)))
        return np.asarray(cv2.resize(picture, size_px, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def judgement(answer: Any) -> Judgement | Failed:
    """What a checked answer, or the lack of one, comes to."""
    if not isinstance(answer, NoAnswer):
        outcome = VERDICTS[answer["overall"]]
        points = ", ".join(f"{point} {answer[point]}" for point in ("identity", "quality", "alignment"))
        told = f"{answer['reason'].strip()} ({points})"
        return Judgement(outcome=outcome, comment=told if outcome else f"abstains, cannot tell: {told}")
    if answer.reason in SAID:
        return Judgement(outcome=None, comment=f"abstains, {answer.reason}: {answer.detail}")
    return Failed(reason=answer.reason, exception=answer.detail)


def _reference(path: Path) -> Picture:
    """A picture of the media store, in RGB."""
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise VideoUnreadable("reference cannot be read", str(error)) from error
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB) if content.size else None
    if picture is None:
        raise VideoUnreadable("reference cannot be read", f"{path} is no picture")
    return np.asarray(picture, dtype=np.uint8)
