"""GroundingDINO Swin-T and SAM 2.1 tiny at their published sizes, with drawn weights. Run by `pytest -m bench -s`.

One line an engine: seconds for a picture of 1280 x 720 px, or for a clip of eight such frames with two people, with
the weights loaded before, and the process's memory. What is found says nothing: the weights are drawn.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from transformers import BertConfig

from flows.engines.grounding_dino import GroundingDino
from flows.engines.grounding_dino_network import Design
from flows.engines.sam2_video import Sam2Video
from tests import tiny_grounding, tiny_sam2

pytestmark = pytest.mark.bench

PICTURE = tiny_grounding.picture(1280, 720)


def _told(name: str, engine: Any, work: Callable[[], Any]) -> None:
    engine.load()
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    memory = psutil.Process().memory_info().rss / 2**30
    print(f"{name}: {seconds:.2f} s, {memory:.1f} GiB, {torch.get_num_threads()} threads")


def test_a_picture_through_the_published_size_of_grounding_dino(tmp_path: Path) -> None:
    bert = tiny_grounding.write_text_encoder(tmp_path / "bert")
    BertConfig().save_pretrained(bert)  # the shape of bert-base-uncased; the tiny vocabulary fits into it
    design = Design(
        architecture="GroundingDINO_SwinT_OGC", overrides=(), text_encoder=str(bert), text_encoder_revision="main"
    )
    network = design.build()
    tiny_grounding.draw_weights(network)
    torch.save({"model": network.state_dict()}, tmp_path / "published.pth")
    num = sum(parameter.numel() for parameter in network.parameters())
    del network
    engine = GroundingDino(model=str(tmp_path / "published.pth"), text_encoder=str(bert))
    _told(
        f"GroundingDino, {num / 1e6:.1f} M parameters",
        engine,
        lambda: engine.ground(PICTURE, ["a woman in red", "a man"], ()),
    )


def test_a_clip_through_the_published_size_of_sam2(tmp_path: Path) -> None:
    from sam2.build_sam import build_sam2_video_predictor

    network = build_sam2_video_predictor(tiny_sam2.CONFIG, None, "cpu")
    torch.save({"model": network.state_dict()}, tmp_path / "published.pt")
    num = sum(parameter.numel() for parameter in network.parameters())
    del network
    engine = Sam2Video(model=str(tmp_path / "published.pt"), config=tiny_sam2.CONFIG)
    frames = [np.roll(PICTURE, 8 * at, axis=1) for at in range(8)]
    boxes = [(200.0, 100.0, 500.0, 700.0), (700.0, 100.0, 1000.0, 700.0)]
    _told(f"Sam2Video, {num / 1e6:.1f} M parameters", engine, lambda: engine.track(frames, 3, boxes))
