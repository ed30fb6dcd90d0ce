"""Files by the hash of their bytes: put once, found for ever, checked at any time."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from warehouse import files, ids
from warehouse.errors import MediaMissing

_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class MediaStore:
    """A folder of files named by their sha256. Many processes may put at once; nothing is ever overwritten."""

    root: Path

    def put(self, content: bytes) -> str:
        """Keep these bytes, and return their sha256. A second put of the same bytes is free."""
        sha256 = hashlib.sha256(content).hexdigest()
        target = self._path(sha256)
        if not target.exists():
            files.write(target, content)
        return sha256

    def has(self, sha256: str) -> bool:
        """Whether a file of this name is there."""
        return self._path(sha256).exists()

    def path_of(self, sha256: str) -> Path:
        """Where the file lies; `MediaMissing` if it does not."""
        path = self._path(sha256)
        if not path.exists():
            raise MediaMissing(f"{sha256}: not in the media store {self.root}; run the step that made it again")
        return path

    def verify(self, sha256: str) -> None:
        """Read the file and compare; `MediaMissing` if it is gone or altered."""
        found = ids.file_digest(self.path_of(sha256))
        if found != sha256:
            raise MediaMissing(f"{sha256}: the media store holds other bytes under this name ({found})")

    def relative_path(self, sha256: str) -> str:
        """The path below `root`, as snapshots record it."""
        if not _NAME.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is no sha256")
        return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"

    def _path(self, sha256: str) -> Path:
        return self.root / self.relative_path(sha256)
