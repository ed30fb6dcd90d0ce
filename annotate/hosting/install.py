"""A Python environment that has Label Studio, apart from ours: it wants other versions of many packages.

The versions are those of `label_studio.txt`. An installation that was broken off is gone on with; the mark that it is
whole is written last.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from annotate.errors import BoardRefused
from warehouse import files

VERSION = "1.23.2"
VERSIONS = Path(__file__).parent / "label_studio.txt"
MARK = "label_studio.txt"
"""In the environment: the list that it was installed from."""

Tell = Callable[[str], None]


def ensure(folder: Path, *, is_ours: bool, tell: Tell, timeout_s: float = 1800) -> Path:
    """The environment's folder, installed if it is missing. One that is not ours is looked at, and never changed unless
    there is nothing in it."""
    if not is_ours and has_anything(folder) and not (folder / MARK).exists():
        return _checked(folder)
    if _is_whole(folder):
        return folder
    tell(f"installing Label Studio {VERSION} in {folder}: about 90 s and 1.3 GB, once")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()  # empty: ours, and not whole
    if not _runs(folder):
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], timeout_s)
        (folder / MARK).touch()
    pip = [str(python(folder)), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    _run([*pip, "--requirement", str(VERSIONS)], timeout_s)
    _checked(folder)
    files.write(folder / MARK, VERSIONS.read_bytes())
    return folder


def python(folder: Path) -> Path:
    return folder / "bin" / "python"


def package(folder: Path) -> Path:
    """Where Label Studio's own modules lie: they import one another from there."""
    return next(iter(sorted(folder.glob("lib/python3*/site-packages/label_studio"))))


def has_anything(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _is_whole(folder: Path) -> bool:
    mark = folder / MARK
    return mark.is_file() and mark.read_bytes() == VERSIONS.read_bytes() and _runs(folder)


def _runs(folder: Path) -> bool:
    """Whether its Python starts: it may have been broken off, moved, or lost the Python it was made from."""
    if not python(folder).exists():
        return False
    command = [str(python(folder)), "-m", "pip", "--version"]
    return subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL).returncode == 0


def _checked(folder: Path) -> Path:
    """`BoardRefused` unless Label Studio is there in the version that we know."""
    found = sorted(folder.glob("lib/python3*/site-packages/label_studio-*.dist-info"))
    versions = [each.name.removeprefix("label_studio-").removesuffix(".dist-info") for each in found]
    if versions != [VERSION]:
        raise BoardRefused(
            f"{folder}: Label Studio {VERSION} is needed, found {', '.join(versions) or 'none'}; unset "
            "LIKENESS_LABEL_STUDIO, or let it name an empty folder, and `likeness board up` installs it"
        )
    if not list(folder.glob("lib/python3*/site-packages/gunicorn")):
        raise BoardRefused(f"{folder}: gunicorn is missing there; `{python(folder)} -m pip install gunicorn`")
    return folder


def _run(command: list[str], timeout_s: float) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=timeout_s, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-600:]
        raise BoardRefused(
            f"{' '.join(command[1:4])} ... failed ({done.returncode}): {said}; run the same command again"
        )
