"""What several tests of whole steps need."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.curate import curate
from flows.ingest import ingest
from flows.progress import Progress
from tests.bright_judges import respond
from tests.judge_bench import CAPTIONS, Bench
from tests.loopback import Loopback, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with serving(respond) as found:
        yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, server: Loopback) -> Bench:
    """Four clips with an original and three generated videos each; text and video of one cannot be compared."""
    folder = tmp_path_factory.mktemp("footage")
    for place, caption in enumerate(CAPTIONS):
        (folder / f"{place}.mp4").write_bytes(caption.encode())
    rows = [{"path": f"{place}.mp4", "caption": caption} for place, caption in enumerate(CAPTIONS)]
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = Bench(tmp_path_factory.mktemp("made") / "home", server)
    ingest(found.settings, folder, None, progress=Progress("test"))
    recipe = found.recipe()
    curate(found.settings, recipe, dataset=None, progress=Progress("test"))
    found.generate(recipe)
    return found


@pytest.fixture
def bench(made: Bench, home: Path) -> Bench:
    made.server.seen.clear()
    shutil.copytree(made.home, home)
    return Bench(home, made.server)
