"""Files of weights: Wan's own format beside diffusers', and what does not load stops the run in words."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from flows.engines import wan_networks, wan_phantom
from flows.engines.wan import Weights
from flows.engines.wan_networks import Networks
from tests import tiny_wan
from warehouse.errors import EngineUnavailable


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantom and MAGREF as released, and what their transformers need beside them."""
    folder = tmp_path_factory.mktemp("released")
    tiny_wan.base(folder / "base")
    tiny_wan.phantom(folder / "phantom.pth")
    tiny_wan.magref(folder / "magref")
    return folder


def test_phantom_from_a_folder_of_diffusers_is_the_one_from_its_own_file(folder: Path, tmp_path: Path) -> None:
    phantom = load_phantom(folder, folder / "phantom.pth", device="cpu")
    whole = tiny_wan.base(tmp_path / "whole")
    tiny_wan.phantom_transformer().save_pretrained(whole / "transformer")
    other = wan_networks.load(Weights(model=str(whole), device="cpu"), architecture="WanTransformer3DModel")
    own, theirs = phantom.transformer.state_dict(), other.transformer.state_dict()
    assert own.keys() == theirs.keys()
    assert all(torch.equal(own[name], theirs[name]) for name in own)
    assert replace_defaults(phantom.transformer.config) == replace_defaults(other.transformer.config)


def replace_defaults(config: Any) -> dict[str, Any]:
    return {name: value for name, value in config.items() if not name.startswith("_")}


def test_weights_in_wan_s_own_format_are_held_as_diffusers_holds_its_own(folder: Path, tmp_path: Path) -> None:
    whole = tiny_wan.base(tmp_path / "whole")
    tiny_wan.magref_transformer().save_pretrained(whole / "transformer")
    places = (Weights(model=str(folder / "magref"), base=str(folder / "base"), dtype="bfloat16"),)
    places += (Weights(model=str(whole), dtype="bfloat16"),)
    held = [
        {
            name: value.dtype
            for name, value in wan_networks.load(place, architecture="WanTransformer3DModel")
            .transformer.state_dict()
            .items()
        }
        for place in places
    ]
    assert held[0] == held[1]
    assert set(held[0].values()) == {torch.bfloat16, torch.float32}


def test_a_policy_that_takes_its_references_in_another_order_is_refused(tmp_path: Path) -> None:
    tiny_wan.vace(tmp_path / "policy")
    note = tmp_path / "policy" / "likeness.json"
    note.write_text(note.read_text().replace("first to last", "last to first"))
    with pytest.raises(EngineUnavailable, match="last to first"):
        wan_networks.load(Weights(model=str(tmp_path / "policy")), architecture="WanVACETransformer3DModel")


class Ran(Exception):
    """A file of weights ran code."""


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (run, ())


def run() -> None:
    raise Ran


@pytest.fixture
def spoiled(folder: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of Phantom's weights to spoil."""
    file = tmp_path / "phantom.pth"
    file.write_bytes((folder / "phantom.pth").read_bytes())
    yield file


def load_phantom(folder: Path, model: Path, **override: Any) -> Networks:
    weights = Weights(model=str(model), base=str(folder / "base"), **override)
    return wan_networks.load(weights, architecture="WanTransformer3DModel")


def test_a_file_of_weights_cannot_run_anything(folder: Path, spoiled: Path) -> None:
    torch.save({"patch_embedding.weight": Trap()}, spoiled)
    with pytest.raises(EngineUnavailable, match=r"phantom\.pth: not a file of tensors alone"):
        load_phantom(folder, spoiled)


def test_weights_that_lack_a_layer_or_are_another_network_s_stop_the_run(folder: Path, spoiled: Path) -> None:
    state = torch.load(spoiled, weights_only=True)
    torch.save({name: value for name, value in state.items() if name != "blocks.1.ffn.2.bias"}, spoiled)
    with pytest.raises(EngineUnavailable, match=r"lacks 1 weights, blocks\.1\.ffn\.net\.2\.bias"):
        load_phantom(folder, spoiled)
    other = spoiled.with_name("other.pth")
    torch.save({"conv.weight": torch.zeros(1)}, other)
    with pytest.raises(EngineUnavailable, match="patch_embedding"):
        load_phantom(folder, other)
    other.with_name("torn.pth").write_bytes(spoiled.read_bytes()[:1000])
    with pytest.raises(EngineUnavailable, match="torn"):
        load_phantom(folder, other.with_name("torn.pth"))


def test_a_shard_that_is_missing_stops_the_run_by_name(folder: Path, tmp_path: Path) -> None:
    shards = tiny_wan.magref(tmp_path / "magref")
    (shards / "diffusion_pytorch_model-00002-of-00002.safetensors").unlink()
    with pytest.raises(EngineUnavailable, match="00002-of-00002"):
        load_phantom(folder, shards)


def test_a_torn_shard_stops_the_run(folder: Path, tmp_path: Path) -> None:
    shard = tiny_wan.magref(tmp_path / "magref") / "diffusion_pytorch_model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(EngineUnavailable, match=r"-of-00002\.safetensors"):
        load_phantom(folder, shard.parent)


def test_what_else_a_file_holds_is_not_looked_at(folder: Path, spoiled: Path) -> None:
    torch.save(torch.load(spoiled, weights_only=True) | {"more.weight": torch.zeros(3)}, spoiled)
    assert load_phantom(folder, spoiled).size == "128x2"


def test_a_text_encoder_that_stores_its_words_once_reads_with_them(folder: Path, tmp_path: Path) -> None:
    """As the hub's Wan folders do: `shared.weight` alone, and "tie_word_embeddings": false."""
    base = tiny_wan.base(tmp_path / "base")
    config = base / "text_encoder" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tie_word_embeddings": False}))
    stored = load_file(base / "text_encoder" / "model.safetensors")
    encoder = load_phantom(tmp_path, folder / "phantom.pth").text_encoder
    assert "encoder.embed_tokens.weight" not in stored
    assert torch.equal(encoder.encoder.embed_tokens.weight, stored["shared.weight"])


def test_an_encoder_that_lacks_weights_stops_the_run(folder: Path, tmp_path: Path) -> None:
    base = tiny_wan.base(tmp_path / "base")
    file = base / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({name: value for name, value in load_file(file).items() if name != "quant_conv.bias"}, file)
    with pytest.raises(EngineUnavailable, match=r"base/vae: lacks 1 weights, quant_conv\.bias"):
        load_phantom(tmp_path, folder / "phantom.pth")


def test_an_index_that_points_out_of_its_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    shards = tiny_wan.magref(tmp_path / "magref")
    index = shards / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text('{"weight_map": {"patch_embedding.weight": "../../elsewhere.safetensors"}}')
    with pytest.raises(EngineUnavailable, match="no index of weights"):
        load_phantom(folder, shards)


def test_of_several_weights_in_one_folder_one_is_named(folder: Path, spoiled: Path) -> None:
    second = spoiled.with_name("Phantom-Wan-14B.pth")
    second.write_bytes(spoiled.read_bytes())
    with pytest.raises(EngineUnavailable, match="name one as `file`"):
        load_phantom(folder, spoiled.parent)
    assert load_phantom(folder, spoiled.parent, file=second.name).size == "128x2"


def test_weights_in_wan_s_own_format_need_a_base(folder: Path) -> None:
    with pytest.raises(ValueError, match="need `base`"):
        wan_phantom.WanPhantom(model=str(folder / "phantom.pth"))
