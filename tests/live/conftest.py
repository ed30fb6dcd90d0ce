"""Servers that the live tests share, each started once when first asked for, and ended whatever happens.

Label Studio's environment is the one that `LIKENESS_LABEL_STUDIO` names, else `.venv/label_studio`, installed when
first needed. Nothing here skips: what is not installed fails with the words that say how to install it.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotate.home import BoardHome
from annotate.hosting import install
from annotate.hosting.configuration import BoardConfig, Database
from annotate.hosting.up import down, up
from tests.live.hosted import HostedBoard, Studio, live_folder, postgresql_server
from tests.served import ROOT
from tests.studios import started_studio

NAMED = os.environ.get("LIKENESS_LABEL_STUDIO")
CHROMIUM = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--autoplay-policy=no-user-gesture-required"),
]


def tell(line: str) -> None:
    print(line, file=sys.stderr)


@pytest.fixture(scope="session")
def live_root() -> Iterator[Path]:
    """Every server of the live tests lies below; it outlives nothing."""
    with live_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def label_studio_environment() -> Path:
    """A Python environment with Label Studio."""
    folder = Path(NAMED) if NAMED else ROOT / ".venv" / "label_studio"
    return install.ensure(folder, is_ours=not NAMED, tell=tell)


@pytest.fixture(scope="session")
def postgresql(live_root: Path) -> Iterator[Database]:
    """A database `board` that is empty at first, and belongs to `board_on_postgresql`."""
    with postgresql_server(live_root / "postgresql") as database:
        yield database


@pytest.fixture(scope="session")
def studio_on_sqlite(live_root: Path, label_studio_environment: Path) -> Iterator[Studio]:
    """Label Studio alone, without a gateway or a project."""
    with started_studio(live_root / "studio", label_studio_environment, None, tell) as studio:
        yield studio


@pytest.fixture(scope="session")
def board_on_sqlite(live_root: Path, label_studio_environment: Path) -> Iterator[HostedBoard]:
    """A whole board, as `likeness board up` makes it for one annotator."""
    yield from _board(live_root / "sqlite", label_studio_environment, {})


@pytest.fixture(scope="session")
def board_on_postgresql(live_root: Path, label_studio_environment: Path, postgresql: Database) -> Iterator[HostedBoard]:
    """A whole board, as `likeness board up` makes it for a team."""
    database = {"LIKENESS_BOARD_DATABASE": str(postgresql), "LIKENESS_BOARD_DATABASE_PASSWORD": postgresql.password}
    yield from _board(live_root / "team", label_studio_environment, database)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser of playwright's that runs, without a window. Tests make contexts of it, each a person of its own."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("Chromium is not installed: `apt-get install chromium`, or `make test-live` as root")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield browser
        browser.close()


def _board(home: Path, label_studio: Path, database: dict[str, str]) -> Iterator[HostedBoard]:
    settings = {"LIKENESS_HOME": str(home), "LIKENESS_BOARD_PORT": "0", "LIKENESS_LABEL_STUDIO": str(label_studio)}
    environment = settings | database
    board = BoardHome(home / "board")
    connection = up(board, BoardConfig.read(environment), tell)
    yield HostedBoard(home=board, connection=connection, secrets=board.secrets(environment), environment=environment)
    down(board, tell)
