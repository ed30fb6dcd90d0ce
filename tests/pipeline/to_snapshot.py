"""Walk the road from a folder of videos to a snapshot, and print its id: a process for tests to kill.

python -m tests.pipeline.to_snapshot FOLDER
"""

import sys
from pathlib import Path

from flows import recipe
from flows.board import board_of
from flows.collect import collect
from flows.curate import curate
from flows.freeze import freeze
from flows.generate import generate
from flows.ingest import ingest
from flows.judge import judge
from flows.progress import Progress
from flows.publish import publish
from flows.recipe import Recipe
from flows.settings import Settings

SMALL = str(Path(__file__).with_name("small.toml"))


def walk(settings: Settings, small: Recipe, folder: Path) -> str:
    """The snapshot's id."""
    progress = Progress("test")
    ingest(settings, folder, None, progress=progress)
    curate(settings, small, dataset=None, progress=progress)
    generate(settings, small, dataset=None, progress=progress)
    judge(settings, small)
    board = board_of(settings, small)
    publish(settings, small, board)
    collect(settings, small, board)
    return freeze(settings, small).id


if __name__ == "__main__":
    print(walk(Settings.read(), recipe.load(SMALL), Path(sys.argv[1])))
