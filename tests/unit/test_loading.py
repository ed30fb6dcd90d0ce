from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from flows.engines import devices, loading
from warehouse.errors import EngineUnavailable


def test_a_checkpoint_is_a_file_or_the_named_file_of_a_folder(tmp_path: Path) -> None:
    tensors = {"a": torch.ones(2)}
    save_file(tensors, tmp_path / "a.safetensors")
    torch.save({"model": tensors}, tmp_path / "a.pth")
    for model in (tmp_path / "a.pth", tmp_path):
        path = loading.checkpoint_path(str(model), "main", "a.pth")
        assert torch.equal(loading.read_checkpoint(path)["a"], tensors["a"])
    assert torch.equal(loading.read_checkpoint(tmp_path / "a.safetensors")["a"], tensors["a"])


def test_of_a_folder_only_the_named_file_decides_the_revision(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"one")
    before = loading.checkpoint_revision(str(tmp_path), "main", "a.pth")
    (tmp_path / "b.pth").write_bytes(b"two")
    assert loading.checkpoint_revision(str(tmp_path), "main", "a.pth") == before
    assert loading.checkpoint_revision(str(tmp_path), "main", "b.pth") != before
    assert loading.checkpoint_revision("some/name", "abc", "a.pth") == "some/name@abc/a.pth"


def test_what_cannot_be_read_is_told_in_one_line_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(b"\x00")
    with pytest.raises(EngineUnavailable, match=r"cut.safetensors: .*; give a local folder") as raised:
        loading.read_checkpoint(tmp_path / "cut.safetensors")
    assert "\n" not in str(raised.value)


def test_a_pickle_of_anything_but_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"model": Path("/")}, tmp_path / "a.pth")
    with pytest.raises(EngineUnavailable, match=r"save it as \.safetensors"):
        loading.read_checkpoint(tmp_path / "a.pth")


def test_a_name_on_the_hub_without_a_network_stops_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EngineUnavailable, match=r"^some/name/a.pth: .*; give a local folder or file"):
        loading.checkpoint_path("some/name", "main", "a.pth")


def test_a_gpu_that_is_not_there_is_said_so_and_auto_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.pick("auto") == devices.pick("cpu") == torch.device("cpu")
    with pytest.raises(EngineUnavailable, match="torch sees no GPU; take device = 'auto' or 'cpu'"):
        devices.pick("cuda:1")


@pytest.mark.parametrize(("device", "dtype"), [("gpu", "auto"), ("cpu", "float16"), ("cudax", "auto"), ("", "auto")])
def test_a_device_or_precision_that_nobody_takes_is_refused(device: str, dtype: str) -> None:
    with pytest.raises(ValueError, match="take"):
        devices.check(device, dtype)


def test_auto_precision_is_float32_on_a_cpu_and_bfloat16_where_it_is_asked_for() -> None:
    for dtype, expected in [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)]:
        with devices.autocast(torch.device("cpu"), dtype):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected
