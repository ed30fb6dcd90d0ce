"""Which board a recipe's votes come from: a file in the home, or the Label Studio that `likeness board up` started."""

from annotate.board import PairBoard
from annotate.home import BoardHome
from annotate.memory_board import MemoryBoard
from flows.label_choice import NOBODY, PEOPLE
from flows.recipe import Recipe
from flows.settings import Settings
from warehouse.errors import BadRecipe

SIMULATED = "simulated"


def annotators_of(recipe: Recipe) -> str:
    """Who votes: `PEOPLE`, `SIMULATED` or `NOBODY`. `BadRecipe` for anybody else."""
    named = recipe.options["votes"]["annotators"]
    if named not in (PEOPLE, SIMULATED, NOBODY):
        raise BadRecipe(
            f"profile {recipe.profile}: votes.annotators = {named!r}; take one of {PEOPLE}, {SIMULATED}, {NOBODY}"
        )
    return str(named)


def board_of(settings: Settings, recipe: Recipe) -> PairBoard:
    """The board that a recipe's annotators vote on. `BoardDown` where people are to vote and none was started."""
    if annotators_of(recipe) != PEOPLE:
        return MemoryBoard(settings.board / "showings.jsonl")
    from annotate.labelstudio import LabelStudioBoard  # the sdk takes a second to import

    home = BoardHome(settings.board)
    connection = home.connection()
    return LabelStudioBoard(connection.label_studio, home.secrets().personal_token, connection.project)
