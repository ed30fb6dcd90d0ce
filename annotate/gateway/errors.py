"""What the gateway says no to.

LikenessError                 (warehouse.errors)
`- AnnotateError          9   (annotate.errors)
   `- Refused             9   a request that is answered with a status and its reason, and reaches nothing
"""

from collections.abc import Mapping

from annotate.errors import AnnotateError


class Refused(AnnotateError):
    """Becomes `{"detail": reason}` with this status."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})
