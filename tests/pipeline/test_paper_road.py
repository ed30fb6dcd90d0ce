"""Profile `paper` from video to labelled pairs and triplets, with every in-process engine on a tiny random checkpoint.

The language model has learned the caption's answer; all else is random, so that what is found means nothing and only
that the engines fit one another is seen.
"""

import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner

from flows.cli import likeness
from flows.engines.grounding_dino_network import Design
from flows.settings import Settings
from flows.stages.encode import encode
from tests import tiny_grounding, tiny_grounding_hf, tiny_kontext, tiny_qwen, tiny_sam2, tiny_wan
from tests.people import side_by_side
from tests.unit import test_arcface

CAPTION = "Two men talk, one in grey and the other in blue."


def toml(value: Any) -> str:
    """A value of a profile."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {toml(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value)


def engine(of: str, /, **fields: Any) -> dict[str, Any]:
    return {"use": f"flows.engines.{of}", **fields}


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The shipped profile's changes, each engine in its place with tiny weights.

    There are no gates where answers are random, and all faces are one person's, so that the only clip stands on one
    side of the split.
    """
    folder = tmp_path_factory.mktemp("weights")
    bert = str(tiny_grounding.write_text_encoder(folder / "bert"))
    design = Design(
        architecture="GroundingDINO_SwinT_OGC",
        overrides=tiny_grounding.OVERRIDES,
        text_encoder=bert,
        text_encoder_revision="main",
    )
    detector = design.build()
    tiny_grounding.draw_weights(detector)
    arcface = engine("arcface:ArcFace", model=test_arcface.network(folder / "arcface.onnx"), device="cpu")
    chat = engine("chat_local:ChatLocal", model=tiny_qwen.taught_qwen3(folder / "qwen3"), device="cpu")
    seeing = engine(
        "chat_local:ChatLocal",
        model=tiny_qwen.save_qwen2_5_vl(folder / "qwen2.5-vl"),
        device="cpu",
        max_tokens=4,
        temperature=0.7,
    )
    quick = {"device": "cpu", "steps": 2, "most_pixels": 64 * 32}
    base = tiny_wan.base(folder / "base")
    generators = [
        engine("wan_vace:WanVACE", model=tiny_wan.vace(folder / "vace"), **quick),
        engine("wan_phantom:WanPhantom", model=tiny_wan.phantom(folder / "phantom.pth"), base=base, **quick),
        engine("wan_magref:WanMAGREF", model=tiny_wan.magref(folder / "magref"), base=base, **quick),
    ]
    changes: dict[str, dict[str, Any]] = {
        "captions": {"parser": engine("qwen_captions:QwenCaptions", chat=chat)},
        "faces": {"reader": arcface, "gate": []},
        "subjects": {
            "reader": arcface,
            "grounder": engine(
                "grounding_dino_hf:GroundingDinoHf",
                model=tiny_grounding_hf.write(folder / "dino", detector.state_dict()),
                side_px=160,
                box_threshold=0.9,
                device="cpu",
            ),
            "segmenter": engine(
                "sam2_video_hf:Sam2VideoHf",
                model=tiny_sam2.write_transformers(folder / "sam2", tiny_sam2.drawn()),
                device="cpu",
            ),
            "num_looks": 2,
            "gate": [],
        },
        "references": {
            "reader": arcface,
            "synthesizer": engine(
                "kontext:Kontext",
                model=tiny_kontext.kontext(folder / "kontext"),
                device="cpu",
                steps=1,
                area_px=64 * 64,
            ),
            "prefer": "novelty",
            "num_looks": 2,
            "gate": [],
        },
        "candidates": {
            "generator": engine("several:Several", generators=generators),
            "max_frames": 5,
            "longest_side_px": 64,
        },
        "likeness": {"faces": arcface},
    }
    judge = engine("vlm_judge:VlmJudge", name="tiny", chat=seeing, num_inferences=2, num_frames=1, longest_side_px=32)
    lines = ['extends = "embedded"']
    lines += [
        f"[change.{stage}]\n" + "\n".join(f"{k} = {toml(v)}" for k, v in change.items())
        for stage, change in changes.items()
    ]
    lines += ["[[judge]]\n" + "\n".join(f"{name} = {toml(value)}" for name, value in judge.items())]
    lines += [
        "[identities]\nsame_person_similarity = -1.0",
        '[votes]\nannotators = "nobody"',
        '[labels]\norigin = "vlm"\nmin_answers = 1\noriginal_by_default = true',
    ]
    path = folder / "tiny.toml"
    path.write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield path


def answered(*arguments: object) -> str:
    result = CliRunner().invoke(likeness, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output + result.stderr
    return result.stdout


def test_every_change_of_the_shipped_profile_is_made_here_too(profile: Path) -> None:
    import tomllib

    shipped = tomllib.loads((resources.files("flows.profiles") / "paper.toml").read_text())
    tiny = tomllib.loads(profile.read_text())
    assert shipped["change"].keys() - tiny["change"].keys() == {"text_video"}  # over HTTP only: tests/live


def test_the_engines_of_the_papers_walk_the_road_together(profile: Path, tmp_path: Path) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    pictures = [np.roll(side_by_side(0, 3), number % 3, axis=0) for number in range(12)]
    (footage / "one.mp4").write_bytes(encode(pictures, frame_rate=Fraction(12)))
    (footage / "captions.jsonl").write_text(json.dumps({"path": "one.mp4", "caption": CAPTION}))
    with torch.no_grad():
        answered("ingest", "--source", footage)
        for step in ("curate", "generate", "judge", "collect"):
            answered(step, "--profile", profile)
        answered("export", "triplets", "--out", tmp_path / "triplets", "--profile", profile)
    funnel = json.loads(answered("funnel", "--profile", profile, "--json"))["stages"]
    assert {row["stage"]: row["passed"] for row in funnel} == {
        **dict.fromkeys(("annotations", "shots", "quality", "fingerprint", "captions", "faces", "subjects"), 1),
        **dict.fromkeys(("references", "duplicates", "candidates"), 1),
        **dict.fromkeys(("likeness", "text_video"), 4),
    }
    with Settings.read().warehouse.session() as session:
        asked = {
            "phrases": "SELECT phrases FROM fact_captions",
            "references": "SELECT DISTINCT synthesizer FROM reference WHERE is_resynthesised",
            "generators": "SELECT generator FROM candidate ORDER BY 1",
            "kinds": "SELECT DISTINCT kind FROM pair ORDER BY 1",
            "labels": "SELECT DISTINCT policy, origin, outcome IS NULL FROM label WHERE reason = 'original by default'",
            "annotators": "SELECT DISTINCT annotator, origin FROM vote ORDER BY 1",
        }
        found = {name: session.execute(question).fetchall() for name, question in asked.items()}
    assert found["phrases"] == [(["one in grey", "the other in blue"],)]
    assert found["references"]
    generators = [name.rpartition("-")[0] for (name,) in found["generators"] if name != "original"]
    assert generators == ["wan-magref", "wan-phantom", "wan-vace"]
    assert [kind for (kind,) in found["kinds"]] == ["generated_vs_generated", "original_vs_generated"]
    assert found["labels"] == [("original_by_default", None, False)]
    assert found["annotators"] == [("tiny#1", "vlm"), ("tiny#2", "vlm")]
    triplets = pq.read_table(next((tmp_path / "triplets").rglob("triplets.parquet"))).to_pylist()
    assert [row["prompt"] for row in triplets] == [CAPTION]


def test_the_doctor_loads_every_engine_of_it(profile: Path) -> None:
    told = answered("doctor", "--profile", profile, "--load")
    engines = [line for line in told.splitlines() if " engine " in line]
    assert len(engines) == 8
    assert all(line.startswith("ok") and line.endswith("loaded") for line in engines)
