"""Who may call whom: by the import graph, and by what a fresh interpreter has loaded after a room was entered."""

import ast
import json
import pkgutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NETWORKS = {"torch", "transformers", "diffusers", "peft"}
HEADLESS = {"prefect", "label_studio_sdk"}


def modules(package: str) -> list[str]:
    """Every module below a package, without importing any."""
    found = [package]
    folder = ROOT / package.replace(".", "/")
    for info in pkgutil.iter_modules([str(folder)]):
        name = f"{package}.{info.name}"
        found += modules(name) if info.ispkg else [name]
    return found


def loaded_by(names: Sequence[str]) -> set[str]:
    """What a fresh interpreter has loaded once these are imported: top-level names, and our own modules in full."""
    code = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
ours = ("warehouse", "annotate", "trainers", "flows")
print("\\n" + json.dumps([name for name in sys.modules if "." not in name or name.split(".")[0] in ours]))
"""
    command = [sys.executable, "-c", code, json.dumps(list(names))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_import_graph_keeps_every_contract(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--cache-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_the_warehouse_knows_nobody() -> None:
    loaded = loaded_by(modules("warehouse"))
    assert not loaded & {"annotate", "trainers", "flows", *NETWORKS, *HEADLESS, "av", "cv2", "dlib"}
    assert {"duckdb", "pyarrow"} <= loaded


def test_annotate_runs_no_network_and_meets_no_trainer() -> None:
    with_sdk = ("annotate.labelstudio", "annotate.gateway.__main__")  # the second opens the first
    board = [name for name in modules("annotate") if name not in with_sdk]
    loaded = loaded_by(board)
    assert not loaded & {"trainers", "flows", *NETWORKS, *HEADLESS}


def test_stages_run_no_network_and_know_no_prefect() -> None:
    loaded = loaded_by([*modules("flows.stages"), "flows.engines.ports"])
    assert not loaded & {*NETWORKS, *HEADLESS, "trainers"}
    assert "flows.stages.shots" in loaded


def test_trainers_load_neither_the_warehouses_database_nor_prefect() -> None:
    loaded = loaded_by(modules("trainers"))
    forbidden = {"warehouse.database", "warehouse.tables", "warehouse.queries", "duckdb", "annotate", "flows"}
    assert not loaded & {*forbidden, *HEADLESS}
    assert {"torch", "warehouse.snapshot"} <= loaded


def test_a_question_at_the_command_line_loads_neither_prefect_nor_a_network() -> None:
    loaded = loaded_by(["flows.cli", "flows.story"])
    assert not loaded & {*NETWORKS, *HEADLESS, "trainers"}


def importers(of: str) -> set[str]:
    """Modules of ours whose text imports a package, at its top or inside a function."""
    found = set()
    for package in ("warehouse", "annotate", "trainers", "flows"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                if any(name.split(".")[0] == of for name in names):
                    found.add(path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."))
    return found


def test_only_flow_modules_and_the_runtime_import_prefect() -> None:
    flow_modules = {f"flows.{name}" for name in ("ingest", "curate", "generate", "judge", "publish", "collect")}
    flow_modules |= {f"flows.{name}" for name in ("freeze", "train", "road", "runtime", "deployments")}
    assert "flows.runtime" in importers("prefect")
    assert importers("prefect") <= flow_modules


@pytest.mark.parametrize(
    ("package", "allowed"),
    [("label_studio_sdk", {"annotate.labelstudio"}), ("duckdb", {"warehouse.database", "warehouse.migrate"})],
)
def test_a_vendor_has_one_door(package: str, allowed: set[str]) -> None:
    assert importers(package) <= allowed


def test_no_module_is_called_after_a_package_or_the_standard_library() -> None:
    ours = [
        name.rsplit(".", 1)[-1]
        for package in ("warehouse", "annotate", "trainers", "flows")
        for name in modules(package)[1:]
    ]
    taken = set(sys.stdlib_module_names) - {"__main__"} | {
        "warehouse",
        "annotate",
        "trainers",
        "flows",
        "prefect",
        "torch",
    }
    assert not set(ours) & taken
