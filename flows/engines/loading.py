"""How weights come to an engine: a file, a file in a folder, or a file of a hub repository; and what is said if not.

Nothing is unpickled: `.safetensors`, or `torch.load(weights_only=True)`, which builds tensors and no other objects.
"""

import contextlib
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flows.engines import weights
from warehouse.errors import EngineUnavailable


def checkpoint_revision(model: str, revision: str, name: str) -> str:
    """What tells a checkpoint from others, as `weights.revision_of`; of a folder only the file `name` counts."""
    if Path(model).is_dir():
        return weights.revision_of(str(_in_folder(Path(model), name)))
    if Path(model).is_file():
        return weights.revision_of(model)
    return f"{weights.revision_of(model, revision)}/{name}"


def checkpoint_path(model: str, revision: str, name: str) -> Path:
    """The checkpoint on this machine; from the hub it is downloaded at first. `EngineUnavailable` where it is not."""
    if Path(model).is_file():
        return Path(model)
    if Path(model).is_dir():
        return _in_folder(Path(model), name)
    from huggingface_hub import hf_hub_download

    with translated(f"{model}/{name}"):
        return Path(hf_hub_download(model, name, revision=revision))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Tensors by name. A `.pth` of the authors holds them under `model`, or is that mapping itself."""
    with translated(str(path)):
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        import torch

        content = torch.load(path, map_location="cpu", weights_only=True)
    return dict(content.get("model", content))


def pretrained(kind: Any, model: str, revision: str, *, twins: Mapping[str, str] | None = None) -> Any:
    """A network of transformers in float32, complete: transformers itself draws what a checkpoint lacks, and goes on.

    `twins`: tensors that older releases left out of the file because they equal another one, by that one's name.
    """
    import torch

    with translated(model):
        network, report = kind.from_pretrained(
            model, revision=revision, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
    missing = set(report["missing_keys"])
    tensors = network.state_dict()
    for name, twin in (twins or {}).items():
        if name in missing and twin not in missing:
            tensors[name].copy_(tensors[twin])
            missing.remove(name)
    if missing:
        raise EngineUnavailable(
            f"{model}: not a whole {kind.__name__}: {len(missing)} tensors are missing, {min(missing)} among them"
        )
    return network


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Whatever keeps weights or a package from being loaded, as one line that says what to do."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from safetensors import SafetensorError

    try:
        yield
    except ImportError as error:
        raise EngineUnavailable(
            f"{what}: {error}; `pip install likeness[paper]` brings the networks' packages"
        ) from error
    except pickle.UnpicklingError as error:
        raise EngineUnavailable(f"{what}: not a file of tensors alone; save it as .safetensors") from error
    except (HfHubHTTPError, HFValidationError, SafetensorError, OSError, RuntimeError, KeyError, ValueError) as error:
        raise EngineUnavailable(
            f"{what}: {_first_line(error)}; give a local folder or file that fits, or a name on the hub"
        ) from error


def _in_folder(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        there = ", ".join(sorted(file.name for file in folder.iterdir())[:8]) or "nothing"
        raise EngineUnavailable(f"{folder / name}: no such checkpoint; the folder holds {there}: name one of them")
    return folder / name


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
