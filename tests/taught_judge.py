"""A tiny Qwen2.5-VL that has learned to name the brighter of two videos, and the two questions it learned from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from flows.engines.ports import Judgement, Question, Side, Sight
from flows.engines.vlm_judge import CRITERIA, FORM, SYSTEM, VlmJudge, judgement
from flows.stages.encode import encode
from flows.stages.stage import Failed
from tests.pair_stages import png
from tests.tiny_qwen import Teacher, save_qwen2_5_vl, teach

VERDICTS = ("B", "A")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaughtJudge:
    judge: VlmJudge
    """Its chat is the teacher, who has nothing left to say: replace it."""
    checkpoint: Path
    asked: Sequence[Question]
    """The same two videos, first the darker one as A, then as B."""
    expected: Sequence[Judgement | Failed]


def taught_judge(folder: Path) -> TaughtJudge:
    """Takes a few seconds."""
    dark, bright = _side(folder, 30), _side(folder, 220)
    (folder / "reference").write_bytes(png(128))
    asked = [
        Question(prompt="A man.", references=(folder / "reference",), a=a, b=b, seed=0)
        for a, b in ((dark, bright), (bright, dark))
    ]
    told = [
        json.dumps({"reason": "so", **dict.fromkeys(("identity", "quality", "alignment", "overall"), verdict)})
        for verdict in VERDICTS
    ]
    teacher = Teacher([told])
    judge = VlmJudge(name="qwen", chat=teacher, num_inferences=1, num_frames=1)
    judge.vote(asked)
    words = f"{SYSTEM} {CRITERIA} {FORM} {told[0]} Reference picture of person The request: Video frames in order:"
    checkpoint = folder / "learned"
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the network is too small to share: on a busy machine its threads wait for one another
    try:
        teach(save_qwen2_5_vl(folder / "random", words=words), checkpoint, teacher.lessons, learned=2e-3)
    finally:
        torch.set_num_threads(num_threads)
    return TaughtJudge(
        judge=judge, checkpoint=checkpoint, asked=asked, expected=[judgement(json.loads(text)) for text in told]
    )


def _side(folder: Path, level: int) -> Side:
    path = folder / f"{level}.mp4"
    path.write_bytes(encode([np.full((32, 48, 3), level, np.uint8)] * 2, frame_rate=Fraction(4)))
    return Side(video=path, sight=Sight(identity_mean=None, identity_min=None, sharpness=None, flicker=None))
