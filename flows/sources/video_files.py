"""Every video below a folder, in files and in tars, and which of them a row means.

All that is kept is a table of names: of a million files, about 0.4 GB. Nothing outside the folder is followed.
"""

import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.sources import entries
from flows.sources.entries import Entry
from flows.sources.tar_splits import Member, TarDamaged, members
from flows.stages.footage import Footage, tar_of
from warehouse.errors import BadInput

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "f4v", "flv", "gif", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts"),
        *("ogv", "ts", "vob", "webm", "wmv", "y4m"),
    )
)

_PREFIX = "clips/"
"""OpenHumanVid's paths have it, its folders on disk may not."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a row's path leads to."""

    relative: str | None = None
    """None: to no file; `problem` says why, if it is one."""
    is_repaired: bool = False
    """True: the file has another name, or lies in another folder, than the row says."""
    problem: str | None = None


class VideoFiles:
    """The videos below a folder, by name. Hidden files and folders are not looked at."""

    def __init__(self, root: Path, below: str = "") -> None:
        """`below`: look only into this folder of the root. `BadInput` if the root is no folder."""
        if not root.is_dir():
            raise BadInput(f"{root}: no such folder; give one with videos in it")
        self.root = root.resolve()
        self.problems: list[Entry] = []
        self.unsuffixed: set[str] = set()
        """Files that are videos only if a row names them."""
        self._members: dict[str, tuple[str, str, int, int]] = {}
        """Of a tar's member: first split, name in the tar, offset, bytes."""
        self._names: dict[str, str | tuple[str, ...]] = {}
        """Last part of the name, less a video's suffix: the names that end so."""
        self._tars: dict[str, list[int]] = {}
        """The numbers of its splits that are there."""
        self._num_videos = 0
        self._walk(below)

    def __len__(self) -> int:
        """Videos that were found, those without a suffix left out."""
        return self._num_videos

    def names(self) -> Iterator[str]:
        """Of all videos, those without a suffix left out; sorted."""
        every = (name for names in self._names.values() for name in ((names,) if isinstance(names, str) else names))
        return iter(sorted(name for name in every if name not in self.unsuffixed))

    def footage(self, relative: str) -> Footage:
        """Where the bytes of a video of `names` or of `find` are."""
        if relative not in self._members:
            return Footage(path=self.root / relative)
        split, member, offset, num_bytes = self._members[relative]
        return Footage(path=self.root / split, member=member, offset=offset, num_bytes=num_bytes)

    def ending_in(self, last: str) -> tuple[str, ...]:
        """The videos of this last name; the suffix does not count."""
        names = self._names.get(_without_suffix(last), ())
        return (names,) if isinstance(names, str) else names

    def _walk(self, below: str) -> None:
        waiting = [below]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(self.root / folder) as items:
                    inside = sorted((i for i in items if not i.name.startswith(".")), key=lambda item: item.name)
            except OSError:
                self.problems.append(Entry(relative=folder or ".", problem=entries.CLOSED_FOLDER))
                continue
            for item in inside:
                relative = posixpath.join(folder, item.name)
                if not _is_text(relative):
                    spelled = relative.encode(errors="backslashreplace").decode()
                    self.problems.append(Entry(relative=spelled, problem=entries.UNREADABLE_NAME))
                elif item.is_symlink():
                    self._sort_in_link(relative)
                elif item.is_dir(follow_symlinks=False):
                    waiting.append(relative)
                elif item.is_file(follow_symlinks=False):
                    self._sort_in_file(relative)
        for tar, numbers in sorted(self._tars.items()):
            self._sort_in_tar(tar, sorted(numbers))

    def _sort_in_file(self, relative: str) -> None:
        if split := tar_of(relative):
            self._tars.setdefault(split[0], []).append(split[1])
        else:
            self._sort_in(relative)

    def _sort_in(self, relative: str) -> None:
        suffix = posixpath.splitext(relative)[1].lower()
        if suffix in VIDEO_SUFFIXES:
            self._num_videos += 1
        elif suffix:
            return
        else:
            self.unsuffixed.add(relative)
        last = _without_suffix(posixpath.basename(relative))
        others = self._names.get(last)
        if others is None:
            self._names[last] = relative
        else:
            self._names[last] = tuple(sorted((*([others] if isinstance(others, str) else others), relative)))

    def _sort_in_link(self, relative: str) -> None:
        """A link to a file is listed if its target lies below the root; a folder's files are found where they lie."""
        target = (self.root / relative).resolve()
        has_suffix = posixpath.splitext(relative)[1].lower() in VIDEO_SUFFIXES
        may_hold_video = target.is_dir() or has_suffix or tar_of(relative) is not None
        if may_hold_video and not target.is_relative_to(self.root):
            self.problems.append(Entry(relative=relative, problem=entries.OUTSIDE))
        elif may_hold_video and not target.exists():
            self.problems.append(Entry(relative=relative, problem=entries.BROKEN_LINK))
        elif target.is_file():
            self._sort_in_file(relative)

    def _sort_in_tar(self, tar: str, numbers: Sequence[int]) -> None:
        """A tar's videos, as if it were a folder."""
        first = tar if (self.root / tar).is_file() else self._first_split(tar)
        wanted = range(min(numbers[0], 1), numbers[-1] + 1)
        damage = (
            f"of its splits up to {numbers[-1]} only {len(numbers)} are there" if len(numbers) < len(wanted) else None
        )
        try:
            for member in members(self.root / first):
                self._sort_in_member(tar, first, member)
        except TarDamaged as error:
            damage = damage or str(error)
        if damage:
            self.problems.append(Entry(relative=tar, problem=entries.BROKEN_TAR, extra=damage))

    def _first_split(self, tar: str) -> str:
        folder = (self.root / tar).parent
        found = min(path.name for path in folder.glob(f"{posixpath.basename(tar)}.split.*") if tar_of(path.name))
        return posixpath.join(posixpath.dirname(tar), found)

    def _sort_in_member(self, tar: str, first: str, member: Member) -> None:
        relative = posixpath.normpath(posixpath.join(tar, member.name))
        if posixpath.splitext(relative)[1].lower() not in VIDEO_SUFFIXES:
            return
        if not relative.startswith(tar + "/"):
            self.problems.append(Entry(relative=f"{tar}/{member.name}", problem=entries.OUTSIDE))
        elif not member.is_whole:
            self.problems.append(Entry(relative=relative, problem=entries.UNREADABLE))
        else:
            if relative not in self._members:
                self._sort_in(relative)
            # of two members of one name a tar means the last
            self._members[relative] = (first, member.name, member.offset, member.num_bytes)


class Finder:
    """Which file a row means. Asks no disk: it looks into what the walk saw."""

    def __init__(self, files: VideoFiles, root: Path, table_folder: Path) -> None:
        """`root` as the caller spelled it. Rows may also spell paths as seen from the folder of their table."""
        self._files = files
        self._roots = tuple(dict.fromkeys((root.absolute().as_posix(), files.root.as_posix())))
        table = table_folder.absolute()
        self._starts = tuple(dict.fromkeys((*self._roots, table.as_posix(), table.resolve().as_posix())))

    def find(self, name: str, *, within: str = "") -> Found:
        """The file that `name` means; `within`: the folder of the root, with its `/`, that it should lie in."""
        if not name:
            return Found(problem=entries.ROW_ALONE)
        places = self._inside(posixpath.join(within, name.replace("\\", "/")))
        if not places or not places[0].startswith(within):
            return Found(problem=entries.OUTSIDE)
        last = posixpath.basename(places[0])
        alike = self._files.ending_in(last)
        for place in places:
            if place in alike:
                return Found(place)
        for place in places:
            for spelled in (place, place.removeprefix(_PREFIX), _PREFIX + place):
                if relative := _spelled(spelled, alike):
                    return Found(relative, is_repaired=True)
        if relative := self.alone(last, within=within):
            as_it_says = bool(within) and name == last == posixpath.basename(relative) and relative.startswith(within)
            return Found(relative, is_repaired=not as_it_says)
        suffix = posixpath.splitext(last)[1].lower()
        return Found(problem=None if suffix and suffix not in VIDEO_SUFFIXES else entries.ROW_ALONE)

    def alone(self, last: str, *, within: str = "") -> str | None:
        """The one file of this name, wherever it lies; first among those within a folder."""
        every = self._files.ending_in(last)
        here = [name for name in every if name.startswith(within)]
        for among in (here, every) if within else (every,):
            exactly = [name for name in among if posixpath.basename(name) == last]
            for found in (exactly, among):
                if len(found) == 1:
                    return found[0]
        return None

    def _inside(self, name: str) -> list[str]:
        """What the name may mean below the root: as seen from the root, or from the table's folder."""
        full = dict.fromkeys(posixpath.normpath(posixpath.join(start, name)) for start in self._starts)
        below = (path.removeprefix(root + "/") for path in full for root in self._roots if path.startswith(root + "/"))
        return list(dict.fromkeys(below))


def _spelled(place: str, alike: Sequence[str]) -> str | None:
    """With its suffix, without, or with one that the file on disk lacks."""
    by_stem = (name for name in alike if _without_suffix(name) == place)
    return next((name for name in alike if name in (place, _without_suffix(place))), next(by_stem, None))


def _is_text(name: str) -> bool:
    """False where the disk's bytes were no UTF-8: such a name can be put into no table."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _without_suffix(name: str) -> str:
    """The name less its suffix, if that is a video's."""
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in VIDEO_SUFFIXES else name
