"""How well a candidate shows what its prompt says, by a scorer; without a scorer nobody knows, and the fact is NULL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flows.engines.ports import Picture, TextVideoScorer
from flows.stages.frames import VideoUnreadable
from flows.stages.stage import CandidateItem, Done, Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVideoFact:
    text_video_score: float | None
    """In the scorer's own unit, higher is closer; None: no scorer, no prompt, or one the scorer could not tell."""
    num_frames_seen: int
    scorer: str | None
    """Its revision: scores of different scorers are never compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVideo:
    """Shows the scorer the prompt and a few frames, spread evenly; the whole batch at once."""

    name: ClassVar[str] = "text_video"
    version: ClassVar[int] = 1
    takes: ClassVar[type[CandidateItem]] = CandidateItem
    fact: ClassVar[type[TextVideoFact]] = TextVideoFact
    needs: ClassVar[Sequence[str]] = ("candidates",)

    scorer: TextVideoScorer | None = None
    num_frames: int = 8
    """Identity-GRPO does not say how many GME is shown; candidates are about two seconds long."""

    def __call__(self, batch: Sequence[CandidateItem], /) -> Sequence[Done[TextVideoFact] | Failed]:
        seen = [self._seen(item) for item in batch]
        shown = [each for each in seen if isinstance(each, tuple)]
        scores = iter(self.scorer.score(shown) if self.scorer is not None and shown else ())
        return [self._outcome(each, next(scores) if isinstance(each, tuple) else None) for each in seen]

    def _seen(self, item: CandidateItem) -> tuple[str, Sequence[Picture]] | Failed | None:
        """What the scorer is shown of a candidate; None: nothing."""
        if self.scorer is None or not item.source.caption:
            return None
        try:
            looks = item.video.look(0, item.video.num_frames, self.num_frames)
        except VideoUnreadable as error:
            return Failed(reason=error.reason, exception=error.detail)
        return item.source.caption, [frame.rgb for frame in looks]

    def _outcome(
        self, seen: tuple[str, Sequence[Picture]] | Failed | None, score: float | Failed | None
    ) -> Done[TextVideoFact] | Failed:
        if isinstance(seen, Failed):
            return seen
        if isinstance(score, Failed):
            return score
        return Done(
            fact=TextVideoFact(
                text_video_score=score,
                num_frames_seen=len(seen[1]) if seen else 0,
                scorer=self.scorer.revision if self.scorer is not None else None,
            )
        )
