"""Qwen3 and Qwen2.5-VL behind `transformers serve`: the same tiny checkpoints, the same answers as in this process."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.engines.chat import NoAnswer, ask
from flows.engines.chat_http import ChatHttp
from flows.engines.chat_local import ChatLocal
from flows.engines.ports import ParsedCaption
from flows.engines.qwen_captions import QwenCaptions, question
from flows.engines.qwen_faces import QwenFaces
from flows.stages.faces import Faces
from flows.stages.stage import Failed
from tests.people import clip_item
from tests.served import free_port, process
from tests.tiny_qwen import CAPTIONS, faces, taught_qwen2_5_vl, taught_qwen3
from tests.unit.test_faces import ScriptedFaces
from warehouse.errors import EngineUnavailable

pytestmark = pytest.mark.live


@contextmanager
def served(folder: Path) -> Iterator[ChatHttp]:
    """`transformers serve` with this checkpoint, and what asks it."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--port", str(port)]
    command += ["--host", "127.0.0.1", "--device", "cpu"]
    with process(command, health=f"http://127.0.0.1:{port}/health", log=folder / "serve.log"):
        yield ChatHttp(
            base_url=f"http://127.0.0.1:{port}/v1",
            model=str(folder),
            max_tokens=96,
            picture_format="png",
            num_retries=1,
            read_s=60,
        )


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatHttp]:
    with served(taught_qwen3(tmp_path_factory.mktemp("qwen3"))) as chat:
        yield chat


@pytest.fixture(scope="module")
def qwen2_5_vl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatHttp]:
    with served(taught_qwen2_5_vl(tmp_path_factory.mktemp("qwen2_5_vl"))) as chat:
        yield chat


def test_a_served_qwen3_parses_captions_as_it_does_in_this_process(qwen3: ChatHttp) -> None:
    parsed = QwenCaptions(chat=qwen3).parse(list(CAPTIONS))
    red, crowd, two, tall = parsed
    assert red == ParsedCaption(phrases=("a woman in a red coat",), num_people=1)
    assert crowd == ParsedCaption(phrases=("a singer",), num_people=None)
    assert two == ParsedCaption(phrases=("one in grey", "the other in blue"), num_people=2)
    assert isinstance(tall, Failed) and tall.reason == "caption could not be parsed"
    local = ChatLocal(model=qwen3.model, device="cpu", max_tokens=96)
    assert QwenCaptions(chat=local).parse(list(CAPTIONS)) == parsed


def test_many_captions_at_once_keep_their_order(qwen3: ChatHttp) -> None:
    captions = [*list(CAPTIONS)[:2]] * 8
    parsed = QwenCaptions(chat=qwen3).parse(captions)
    assert parsed == [*parsed[:2]] * 8
    assert [each.num_people for each in parsed[:2] if isinstance(each, ParsedCaption)] == [1, None]


def test_an_answer_that_is_cut_costs_itself_and_a_wrong_model_name_stops_the_run(qwen3: ChatHttp) -> None:
    short = ChatHttp(base_url=qwen3.base_url, model=qwen3.model, max_tokens=3)
    (cut,) = short.answer([question(next(iter(CAPTIONS)))])
    assert isinstance(cut, NoAnswer) and cut.reason == "answer longer than max_tokens"
    with pytest.raises(EngineUnavailable, match="pinned to"):
        ChatHttp(base_url=qwen3.base_url, model="another").answer([ask("Who?")])


def test_a_served_qwen2_5_vl_tells_frontal_faces_also_inside_the_stage(qwen2_5_vl: ChatHttp, tmp_path: Path) -> None:
    checker = QwenFaces(chat=qwen2_5_vl)
    assert checker.check(list(faces().values())) == [True, None, False]
    item = clip_item(tmp_path, list(faces().values()))
    (outcome,) = Faces(reader=ScriptedFaces((0.9,), (0.9,), (0.9,)), checker=checker)([item])
    fact = outcome.fact  # type: ignore[union-attr]
    assert (fact.num_looked, fact.face_frontal_share_reader) == (3, 1.0)
    assert (fact.num_checked, fact.face_frontal_share, fact.checker_agreement) == (2, 0.5, 0.5)
