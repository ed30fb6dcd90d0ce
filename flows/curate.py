"""`likeness curate`: from sources to clips, subjects and references; then twins among the clips, and who is who."""

from flows import identities
from flows.gather import gather
from flows.progress import Progress
from flows.recipe import Recipe
from flows.runtime import measure_pending
from flows.settings import Settings


def curate(settings: Settings, recipe: Recipe, *, dataset: str | None, progress: Progress) -> int:
    """Measure what is pending and give the number of facts that were new."""
    num_new = measure_pending(settings, recipe, "curate", dataset=dataset, progress=progress)
    num_new += gather(settings, recipe)
    with settings.warehouse.transaction() as session:
        identities.assign(
            session, recipe, same_person_similarity=recipe.options["identities"]["same_person_similarity"]
        )
    return num_new
