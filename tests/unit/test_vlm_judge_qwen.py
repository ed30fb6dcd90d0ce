"""The VLM judge with a network of the real architecture, in this process."""

from dataclasses import replace
from pathlib import Path

from flows.engines.chat_local import ChatLocal
from flows.engines.ports import Judgement
from tests.taught_judge import VERDICTS, taught_judge


def test_a_qwen2_5_vl_that_has_learned_what_bright_looks_like_judges_by_what_it_sees(tmp_path: Path) -> None:
    taught = taught_judge(tmp_path)
    chat = ChatLocal(model=str(taught.checkpoint), device="cpu", dtype="float32")
    said = replace(taught.judge, chat=chat).vote(taught.asked)
    assert said == taught.expected
    assert tuple(one.outcome for one in said if isinstance(one, Judgement)) == VERDICTS
