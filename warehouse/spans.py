"""Time is rational. A span is half-open: [start, end)."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of one source video, by frame and by presentation time; both ends half-open."""

    start_frame: int
    end_frame: int
    """Frames are counted from 0 in decode order of the first video stream."""
    start: Fraction
    end: Fraction
    """Seconds since the first frame, from the container's own timestamps: exact for variable frame rates too."""

    def __post_init__(self) -> None:
        if not 0 <= self.start_frame < self.end_frame:
            raise ValueError(f"frames [{self.start_frame}, {self.end_frame}) are no span")
        if not 0 <= self.start < self.end:
            raise ValueError(f"seconds [{self.start}, {self.end}) are no span")

    @property
    def length_frames(self) -> int:
        return self.end_frame - self.start_frame

    @property
    def length(self) -> Fraction:
        """Seconds."""
        return self.end - self.start
