"""Several generators as one: each gets the same request, so that their videos differ by the generator alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flows.engines.ports import Generated, Generator, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """What each of `generators` makes, in their order: Identity-GRPO (2.1.2) compares five on identical conditions.

    `ValueError` for no generator, and for one that is listed twice.
    """

    generators: Sequence[Generator]

    def __post_init__(self) -> None:
        revisions = [generator.revision for generator in self.generators]
        if not revisions:
            raise ValueError("generators: none is listed")
        if twice := sorted({revision for revision in revisions if revisions.count(revision) > 1}):
            raise ValueError(f"generators: {twice[0]} is listed twice")

    @property
    def revision(self) -> str:
        return "several: " + "; ".join(generator.revision for generator in self.generators)

    def load(self) -> None:
        """Load those that have something to load."""
        for generator in self.generators:
            getattr(generator, "load", lambda: None)()

    def generate(self, request: Request) -> Iterator[Generated]:
        for generator in self.generators:
            yield from generator.generate(request)
