"""The VLM judge over HTTP against `transformers serve` with a tiny Qwen2.5-VL: it says what it says in this process."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from flows.engines.chat_http import ChatHttp
from flows.engines.ports import Judgement
from tests.served import free_port, process
from tests.taught_judge import VERDICTS, taught_judge

pytestmark = pytest.mark.live


def test_a_served_qwen2_5_vl_judges_by_what_it_sees(tmp_path: Path) -> None:
    taught = taught_judge(tmp_path)
    port = free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(taught.checkpoint)]
    command += ["--port", str(port), "--host", "127.0.0.1", "--device", "cpu"]
    with process(command, health=f"http://127.0.0.1:{port}/health", log=tmp_path / "serve.log"):
        chat = ChatHttp(
            base_url=f"http://127.0.0.1:{port}/v1", model=str(taught.checkpoint), picture_format="png", num_retries=1
        )
        said = replace(taught.judge, chat=chat).vote(taught.asked)
    assert said == taught.expected
    assert tuple(one.outcome for one in said if isinstance(one, Judgement)) == VERDICTS
