"""What holds for every test: a home of its own, no server, no worker processes, and no ERROR in the log."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("likeness", deadline=None)  # the machine is shared: a slow moment is no fault
settings.load_profile("likeness")

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`LIKENESS_HOME`, empty; steps run as plain functions in this process unless a test says otherwise."""
    folder = tmp_path / "home"
    for name in [name for name in os.environ if name.startswith("LIKENESS_")]:
        if name != "LIKENESS_MEDIA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("LIKENESS_HOME", str(folder))
    monkeypatch.setenv("LIKENESS_ORCHESTRATOR", "none")
    monkeypatch.setenv("LIKENESS_WORKERS", "0")
    return folder


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture(autouse=True)
def no_errors_logged() -> Iterator[None]:
    """A test in which anything logs an ERROR fails, whatever else it shows."""
    handler = _Errors()
    loggers = [logging.getLogger(), logging.getLogger("flows")]  # the command may keep the second from the first
    before = [(log.level, log.propagate) for log in loggers]
    for log in loggers:
        log.addHandler(handler)
    yield
    for log, (level, propagate) in zip(loggers, before, strict=True):
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate
    assert not handler.lines, f"logged as ERROR: {handler.lines}"


@pytest.fixture
def media_root(request: pytest.FixtureRequest) -> Path:
    """The real footage; for measurements and live tests only. `LIKENESS_MEDIA` names another place for it."""
    assert any(request.node.get_closest_marker(name) for name in ("bench", "live")), "only for bench and live tests"
    folder = Path(os.environ.get("LIKENESS_MEDIA", ROOT.parent / "shared" / "media"))
    if not (folder / "videos").is_dir():
        pytest.fail(f"{folder}: no footage there; set LIKENESS_MEDIA to a folder with `videos` and `manifest.csv`")
    return folder
