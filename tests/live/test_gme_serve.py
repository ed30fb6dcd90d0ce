"""GME's scores from a real network of its architecture behind a real server, whose vectors are made here once more."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flows.engines.chat_http import ChatHttp
from flows.engines.gme_http import PICTURE_INSTRUCTION, TEXT_INSTRUCTION, GmeHttp
from flows.sources.actors import portrait
from tests.embedding_server import Embedder
from tests.served import free_port, process
from tests.tiny_qwen import save_qwen2_vl
from warehouse.errors import EngineUnavailable

pytestmark = pytest.mark.live

FACES = [portrait(actor, size_px=84) for actor in range(3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_qwen2_vl(tmp_path_factory.mktemp("gme"), words=f"{TEXT_INSTRUCTION} {PICTURE_INSTRUCTION}")


@pytest.fixture(scope="module")
def base_url(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.embedding_server", str(folder), str(port)]
    with process(command, health=f"http://127.0.0.1:{port}/health", log=folder / "serve.log"):
        yield f"http://127.0.0.1:{port}/v1"


def service(base_url: str, **override: object) -> ChatHttp:
    values = {"base_url": base_url, "model": "gme", "picture_format": "png", "num_retries": 1} | override
    return ChatHttp(**values)  # type: ignore[arg-type]


def expected(folder: Path, text: str, frames: list[np.ndarray]) -> float:
    """The score, from the same checkpoint in this process."""
    from PIL import Image  # the test's own way to the network, past any URL

    embedder = Embedder(str(folder))

    def vector(instruction: str, content: object) -> np.ndarray:
        prompt = [{"role": "system", "content": instruction}, {"role": "user", "content": content}]
        shown = isinstance(content, np.ndarray)
        parts = [{"type": "image"}] if shown else content
        chat = [prompt[0], {"role": "user", "content": parts}]
        rendered = embedder.processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        pictures = [[Image.fromarray(content)]] if shown else None
        inputs = embedder.processor(text=[rendered + "<|endoftext|>"], images=pictures, return_tensors="pt")
        state = embedder.network(**inputs, output_hidden_states=True).hidden_states[-1][0, -1].detach().numpy()
        return state / np.linalg.norm(state)

    of_text = vector(TEXT_INSTRUCTION, text)
    return float(np.mean([vector(PICTURE_INSTRUCTION, frame) @ of_text for frame in frames]))


def test_scores_are_those_of_the_network_itself(base_url: str, folder: Path) -> None:
    items = [("a dog", FACES[:2]), ("two women dance", FACES), ("", FACES), ("a dog", [])]
    scores = GmeHttp(service=service(base_url)).score(items)
    assert scores[2:] == [None, None]
    wanted = [expected(folder, text, frames) for text, frames in items[:2]]
    assert scores[:2] == pytest.approx(wanted, abs=1e-5)
    assert wanted[0] != pytest.approx(wanted[1], abs=1e-3), "or the test could not fail"


def test_both_ways_of_giving_pictures_reach_the_network(base_url: str) -> None:
    as_messages = service(base_url).embed([(FACES[0],), ("a dog",)])
    as_objects = service(base_url, embedding_input="objects").embed([(FACES[0],), ("a dog",)])
    assert np.allclose(as_messages, as_objects, atol=1e-5)  # type: ignore[arg-type]
    assert not np.allclose(as_messages[0], as_messages[1], atol=1e-3)  # type: ignore[arg-type]


def test_an_unknown_model_stops_the_run(base_url: str) -> None:
    with pytest.raises(EngineUnavailable, match="no model other"):
        GmeHttp(service=service(base_url, model="other")).score([("a dog", FACES)])
