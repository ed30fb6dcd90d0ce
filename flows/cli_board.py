"""`likeness board`: the place where people vote, started, looked at, ended."""

import json
from dataclasses import asdict

import click

from annotate.home import BoardHome
from flows.command import AS_JSON, likeness, verb
from flows.recipe import Recipe
from flows.settings import Settings


@likeness.group()
def board() -> None:
    """Have people vote in the browser: Label Studio, with our gateway before it."""


@board.command("up")
@verb
def up_(settings: Settings, recipe: Recipe) -> None:
    """Start the board and print its address. Installs Label Studio if it is missing; goes on where it was killed."""
    from annotate.hosting.configuration import BoardConfig
    from annotate.hosting.up import up

    click.echo(up(BoardHome(settings.board), BoardConfig.read(), _tell).origin)


@board.command("invite")
@click.argument("name")
@click.option("--adjudicator", "is_adjudicator", is_flag=True, help="Asked only where the others are split.")
@verb
def invite_(settings: Settings, recipe: Recipe, name: str, is_adjudicator: bool) -> None:
    """Make an account for NAME. Its password is printed once, and kept nowhere."""
    from annotate.hosting.invite import invite

    home = BoardHome(settings.board)
    invited = invite(home, name, is_adjudicator=is_adjudicator, tell=_tell)
    click.echo(f"address   {home.connection().origin}")
    click.echo(f"e-mail    {invited.member.email}")
    click.echo(f"password  {invited.password}")


@board.command("password")
@click.argument("name")
@verb
def password_(settings: Settings, recipe: Recipe, name: str) -> None:
    """Give NAME another password, printed once, and end their sessions; also after an `invite` that was killed."""
    from annotate.hosting.configuration import BoardConfig
    from annotate.hosting.invite import new_password

    invited = new_password(BoardHome(settings.board), BoardConfig.read(), name, tell=_tell)
    click.echo(f"e-mail    {invited.member.email}")
    click.echo(f"password  {invited.password}")


@board.command("status")
@AS_JSON
@verb
def status_(settings: Settings, recipe: Recipe, as_json: bool) -> None:
    """What runs, since when, where, and what it holds."""
    from annotate.hosting.status import status, status_text

    found = status(BoardHome(settings.board))
    click.echo(json.dumps(asdict(found) | {"is_up": found.is_up}, indent=1) if as_json else status_text(found))


@board.command("down")
@verb
def down_(settings: Settings, recipe: Recipe) -> None:
    """End what runs. Pairs, votes and accounts stay."""
    from annotate.hosting.up import down

    click.echo("the board is down" if down(BoardHome(settings.board), _tell) else "nothing ran")


@board.command("nginx")
@click.option("--certificate", default=None, help="Path of the TLS certificate, PEM; default: where certbot puts it.")
@click.option("--key", default=None, help="Path of its key.")
@click.option("--whole", is_flag=True, help="A whole configuration, not only what goes into `http { }`.")
@verb
def nginx_(settings: Settings, recipe: Recipe, certificate: str | None, key: str | None, whole: bool) -> None:
    """Print a configuration of nginx for a team: TLS, and media without a detour through Python."""
    from annotate.hosting.configuration import BoardConfig
    from annotate.hosting.nginx import for_board

    config = BoardConfig.read()
    click.echo(for_board(BoardHome(settings.board), config, certificate=certificate, key=key, is_whole=whole))


def _tell(line: str) -> None:
    click.echo(line, err=True)
