"""Several synthesizers as one: each sees the same crop, so that `likeness yields` compares them on the same people."""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.engines.ports import Picture, Synthesizer, View


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralSynthesizers:
    """`Synthesizer`: the views of each of `synthesizers`, in their order.

    `ValueError` for no synthesizer, and for one that is listed twice.
    """

    synthesizers: Sequence[Synthesizer]

    def __post_init__(self) -> None:
        names = [each.name for each in self.synthesizers]
        if not names:
            raise ValueError("synthesizers: none is listed")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"synthesizers: {twice[0]!r} is listed twice; yields are counted by name")

    @property
    def name(self) -> str:
        return " + ".join(each.name for each in self.synthesizers)

    @property
    def revision(self) -> str:
        return "several: " + "; ".join(each.revision for each in self.synthesizers)

    def load(self) -> None:
        """Load those that have something to load."""
        for each in self.synthesizers:
            getattr(each, "load", lambda: None)()

    def views(self, picture: Picture) -> Sequence[View]:
        return [view for each in self.synthesizers for view in each.views(picture)]
