"""The files of pairs on their way to a board's pages, each made once a run; one that cannot be shown costs itself."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from annotate.home import BoardHome
from flows.settings import Settings
from flows.shown_media import Kind, publish_media
from warehouse.errors import MediaMissing


@dataclass(slots=True)
class BoardMedia:
    """What files are called on the board. A board without pages shows none, and nothing is copied for it."""

    settings: Settings
    is_shown: bool
    names: dict[str, str] = field(default_factory=dict)
    """By the file's sha256."""
    bad: dict[str, str] = field(default_factory=dict)
    """Why a file cannot be shown, by its sha256."""

    def take(self, hashes: Collection[str], kind: Kind) -> None:
        """Make these files ready, those that are not yet."""
        new = sorted(set(hashes) - self.names.keys() - self.bad.keys())
        if self.is_shown:
            root = self.settings.media
            self._publish({sha256: root.root / root.relative_path(sha256) for sha256 in new}, kind)
        else:
            self.names |= {sha256: f"media/{sha256}" for sha256 in new}

    def _publish(self, sources: Mapping[str, Path], kind: Kind) -> None:
        """All together; where that fails, halves, until the culprit stands alone."""
        try:
            self.names |= publish_media(BoardHome(self.settings.board), sources, kind=kind)
        except MediaMissing as error:
            if len(sources) == 1:
                self.bad |= dict.fromkeys(sources, str(error))
                return
            listed = list(sources.items())
            for half in (listed[: len(listed) // 2], listed[len(listed) // 2 :]):
                self._publish(dict(half), kind)
