"""How well a video shows what a text says, by GME embeddings over HTTP: GmeScore of OpenS2V (PAPERS.md, section 4).

GME's own wrapper needs transformers < 4.52, so it serves from a process of its own. vLLM takes it as an embedding
model; its chat template must then end in an opened assistant's turn and `<|endoftext|>`, where GME reads its vector.
"""

from collections.abc import Sequence

import numpy as np

from flows.engines import weights
from flows.engines.chat import NoAnswer
from flows.engines.chat_http import ChatHttp
from flows.engines.ports import Picture, Vector
from flows.stages.stage import Failed
from warehouse.errors import EngineUnavailable

TEXT_INSTRUCTION = "Find an image that matches the given text."
"""What GmeScore's released code tells the model with a text."""
PICTURE_INSTRUCTION = "You are a helpful assistant."
"""What it tells it with a picture: GME's default."""


class GmeHttp:
    """`TextVideoScorer`. The score is the mean, over the frames, of the cosine of text and frame: -1 to 1.

    As all vectors have length 1, this is the text's product with the frames' mean vector, which is not brought to
    length 1 again; a cosine with it would be higher by how much the frames differ. So GmeScore's released code does it.
    """

    def __init__(self, *, service: ChatHttp) -> None:
        self._service = service
        self.revision = f"gme-http-1-{weights.short(TEXT_INSTRUCTION + PICTURE_INSTRUCTION)}-{service.revision}"

    def load(self) -> None:
        """Have the service embed a word; `EngineUnavailable` where it cannot."""
        [answer] = self._service.embed([("hello",)])
        if isinstance(answer, NoAnswer):
            raise EngineUnavailable(f"{self._service.model} at {self._service.base_url}: {answer}")

    def score(self, items: Sequence[tuple[str, Sequence[Picture]]]) -> Sequence[float | Failed | None]:
        """One score an item, None where it has no text or no frames. Texts and frames of all items go out together,
        a text of several items once.
        """
        scorable = [(text, frames) for text, frames in items if text.strip() and len(frames)]
        texts = list(dict.fromkeys(text for text, _ in scorable))
        vectors = self._service.embed([(text,) for text in texts], instruction=TEXT_INSTRUCTION)
        of_text = dict(zip(texts, vectors, strict=True))
        pictures = [(frame,) for _, frames in scorable for frame in frames]
        of_frames = iter(self._service.embed(pictures, instruction=PICTURE_INSTRUCTION))
        scores = iter([_score(of_text[text], [next(of_frames) for _ in frames]) for text, frames in scorable])
        return [next(scores) if text.strip() and len(frames) else None for text, frames in items]


def _score(text: Vector | NoAnswer, frames: Sequence[Vector | NoAnswer]) -> float | Failed:
    vectors = [each for each in (text, *frames) if not isinstance(each, NoAnswer)]
    if len(vectors) <= len(frames):
        trouble = next(each for each in (text, *frames) if isinstance(each, NoAnswer))
        return Failed(reason="text-video score got no answer", exception=str(trouble))
    return float(np.stack(vectors[1:]).mean(0) @ vectors[0])
