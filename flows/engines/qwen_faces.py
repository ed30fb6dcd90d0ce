"""Whether a picture clearly shows a face from the front, by a vision-language model.

Identity-GRPO (2.1.1) has Qwen2.5-VL keep the clips with clear frontal faces; it does not print its question.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flows.engines import weights
from flows.engines.chat import Chat, NoAnswer, answers_in_json, ask
from flows.engines.ports import Picture
from flows.stages.stage import Failed

ANSWERS: Mapping[str, bool | None] = {"yes": True, "no": False, "unsure": None}

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"frontal_face": {"enum": list(ANSWERS)}},
    "required": ["frontal_face"],
    "additionalProperties": False,
}

PROMPT = """\
This is one frame of a video. Does it show at least one human face clearly and from the front?

Clearly: sharp, lit, large enough to recognise the person, not hidden by hands, hair, a mask or the edge of the frame.
From the front: both eyes can be seen, and the face is turned to the camera by 30 degrees or less.
Drawn, printed or sculpted faces do not count.

Answer with one JSON object and nothing else: {"frontal_face": "yes"}, {"frontal_face": "no"}, or
{"frontal_face": "unsure"} if the frame does not let you tell."""


class QwenFaces:
    """`FrontalChecker` by whatever vision-language model `chat` is: `ChatHttp` or `ChatLocal`."""

    def __init__(self, *, chat: Chat) -> None:
        self._chat = chat
        self.revision = f"qwen-faces-1-{weights.short(PROMPT + json.dumps(SCHEMA))}-{chat.revision}"

    def load(self) -> None:
        """Load the model now, or reach its service. `EngineUnavailable` where that cannot be."""
        self._chat.load()

    def check(self, pictures: Sequence[Picture]) -> Sequence[bool | Failed | None]:
        """One answer a picture, each asked by itself."""
        answers = answers_in_json(self._chat, [ask(PROMPT, picture, schema=SCHEMA) for picture in pictures])
        return [_outcome(answer) for answer in answers]


def _outcome(answer: Any) -> bool | Failed | None:
    if isinstance(answer, NoAnswer):
        return Failed(reason="face check got no answer", exception=str(answer))
    return ANSWERS[answer["frontal_face"]]
