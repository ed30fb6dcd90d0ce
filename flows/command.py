"""What every command of `likeness` shares: settings and recipe, errors as one line and an exit code, a log of its own.

Results go to standard output, what happens meanwhile to standard error. Exit codes are those of the error trees; an
unforeseen error is 1, with its traceback only under `--debug`.
"""

import functools
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from flows import orchestration
from flows import recipe as recipes
from flows.settings import Settings
from warehouse.errors import LikenessError
from warehouse.files import full_disk_told

FOLDER = click.Path(path_type=Path)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
DATASET = click.option(
    "--dataset", type=click.Path(resolve_path=True), help="Only this data set: the folder it was ingested from."
)


@click.group(context_settings={"max_content_width": 100})
@click.version_option(package_name="likeness")
def likeness() -> None:
    """From raw human video to preference-trained models.

    source -> clip -> subject -> reference -> candidate -> pair -> vote -> label -> snapshot -> reward model -> policy
    """
    logging.basicConfig(stream=sys.stderr, format="%(message)s")


def verb(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that all share, and hand it `settings` and `recipe` for them."""

    @click.option("--warehouse", "url", default=None, help="Path or URL; default: a DuckDB file in LIKENESS_HOME.")
    @click.option("--profile", default="embedded", show_default=True, help="A profile's name, or a .toml file.")
    @click.option("--debug", is_flag=True, help="Log an item a line, and show tracebacks.")
    @functools.wraps(function)
    def run(*, url: str | None, profile: str, debug: bool, **options: Any) -> None:
        with told(debug):
            settings = Settings.read(warehouse_url=url)
            orchestration.prepare(settings.home)
            with full_disk_told(settings.home), kept_log(settings.home, debug):
                function(settings=settings, recipe=recipes.load(profile), **options)

    return run


@contextmanager
def told(debug: bool) -> Iterator[None]:
    """An error as one line and an exit code; with `debug` as it is."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of our output has had enough; click knows
    except Exception as error:
        if debug:
            raise
        text, code = str(error), error.exit_code if isinstance(error, LikenessError) else 1
        if not isinstance(error, LikenessError):
            text = f"{type(error).__name__}: {text}; unforeseen: the same command with --debug shows where"
        click.echo(f"likeness: {' '.join(text.split())}", err=True)
        raise SystemExit(code) from error


@contextmanager
def kept_log(home: Path, debug: bool) -> Iterator[None]:
    """Our own log: a line a shard in the home's `likeness.log`, and with `debug` everything on standard error too."""
    home.mkdir(parents=True, exist_ok=True)
    log = logging.getLogger("flows")
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = debug
    file = logging.FileHandler(home / "likeness.log", delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(file)
    try:
        yield
    finally:
        log.removeHandler(file)
        file.close()
