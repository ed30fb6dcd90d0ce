"""A model behind an OpenAI-compatible service: `/chat/completions` and `/embeddings`, over HTTP.

Made for vLLM, SGLang, llama.cpp's server, `transformers serve` and their like. What this module promises is *which
trouble is whose*: a service that is not there, is overloaded, refuses the key or does not know the model stops the run
(`EngineUnavailable`: nothing failed for it, the next run goes on); a question that the service refuses, chokes on or
answers with rubbish is that item's own (`NoAnswer`). Where it could be either, the service is asked something plain.
"""

import base64
import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np

from flows.engines.chat import NO_TEXT, TOO_LONG, Ask, NoAnswer, Turn
from flows.engines.http_calls import Patience, Service
from flows.engines.ports import Picture, Vector
from warehouse import ids
from warehouse.errors import EngineUnavailable

JSON_MODES = ("json_schema", "json_object", "none")
EMBEDDING_INPUTS = ("messages", "objects")
PICTURE_FORMATS = ("jpeg", "png")
THINKING = ("off", "on", "unsaid")

_PLAIN = "Say yes."
_GREY: Picture = np.full((56, 56, 3), 128, dtype=np.uint8)
"""What a service is asked to see whether it answers at all."""

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatHttp:
    """`Chat`, and embeddings, from one model of one service. Safe to use from many threads."""

    base_url: str
    """Up to and with the version, as `http://127.0.0.1:8000/v1`."""
    model: str
    """The name by which the service knows it."""
    model_revision: str = "main"
    """Which weights serve under that name: part of every fact's key. The service does not tell; you must."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key; the key itself is never configuration. Empty: none sent."""

    temperature: float = 0.0
    """0: greedy."""
    max_tokens: int = 512
    json_mode: str = "json_schema"
    """How a schema is passed on: `json_schema` constrains the answer where the service can (vLLM, SGLang, OpenAI),
    `json_object` where it knows no schema, `none` leaves it out. Answers are checked here all the same."""
    thinking: str = "off"
    """`off` and `on` set Qwen3's `enable_thinking`; `unsaid` sends nothing (OpenAI itself refuses unknown fields)."""
    picture_format: str = "jpeg"
    embedding_input: str = "messages"
    """How pictures are given to `/embeddings`: `messages`, one conversation a request (vLLM), or `objects`, an `input`
    of `{"text": ...}` and `{"image": ...}` (Jina and its like)."""

    concurrency: int = 8
    """Requests at once."""
    connect_s: float = 10.0
    read_s: float = 120.0
    """Longest silence while an answer is awaited."""
    total_s: float = 600.0
    """Of one item, all its tries and waits together."""
    num_retries: int = 4
    backoff_s: float = 1.0
    """Longest first wait; doubled each time, at most `backoff_max_s`; the wait is drawn between 0 and that."""
    backoff_max_s: float = 30.0

    def __post_init__(self) -> None:
        _one_of("json_mode", self.json_mode, JSON_MODES)
        _one_of("thinking", self.thinking, THINKING)
        _one_of("picture_format", self.picture_format, PICTURE_FORMATS)
        _one_of("embedding_input", self.embedding_input, EMBEDDING_INPUTS)
        if self.temperature < 0 or self.max_tokens < 1 or self.concurrency < 1:
            raise ValueError("temperature must be >= 0, max_tokens and concurrency >= 1")
        if not self.model:
            raise ValueError("`model` is missing: the name by which the service knows it")
        self._service()

    @property
    def revision(self) -> str:
        """Of what decides answers: neither the address nor the patience is part of it."""
        decisive = [self.temperature, self.max_tokens, self.json_mode, self.thinking, self.picture_format]
        settings = ids.digest([*decisive, self.embedding_input])[:12]
        return f"chat-http-1-{self.model}@{self.model_revision}-{settings}"

    def load(self) -> None:
        """Ask the service one plain question; `EngineUnavailable` where it does not answer."""
        [answer] = self.answer([Ask(turns=(Turn(role="user", parts=(_PLAIN,)),))])
        if isinstance(answer, NoAnswer):
            raise EngineUnavailable(f"{self.model} at {self.base_url}: {answer}")

    def answer(self, asks: Sequence[Ask]) -> list[str | NoAnswer]:
        """The text of one answer an ask, in order; asked `concurrency` at a time."""
        return self._side_by_side(self._answer, asks)

    def embed(self, items: Sequence[Sequence[str | Picture]], *, instruction: str = "") -> list[Vector | NoAnswer]:
        """One L2-normalised vector an item of texts and pictures, in order.

        `instruction` is the system turn of `messages`; with `objects` it goes before the item's first text.
        """
        return self._side_by_side(lambda item, called_off: self._embed(item, instruction, called_off), items)

    def _side_by_side(
        self, call: Callable[[ItemT, threading.Event], AnswerT], items: Sequence[ItemT]
    ) -> list[AnswerT | NoAnswer]:
        """Every item's answer; the first `EngineUnavailable` calls off the others, and is raised."""
        called_off = threading.Event()
        found: list[EngineUnavailable] = []

        def one(item: ItemT) -> AnswerT | NoAnswer:
            if called_off.is_set():
                return NoAnswer("called off")
            try:
                return call(item, called_off)
            except NoAnswer as error:
                return error
            except EngineUnavailable as error:
                found.append(error)
                called_off.set()
                return NoAnswer("called off")

        with ThreadPoolExecutor(min(self.concurrency, len(items)) or 1, thread_name_prefix="chat-http") as pool:
            answers = list(pool.map(one, items))
        if found:
            raise found[0]
        return answers

    def _answer(self, asked: Ask, called_off: threading.Event) -> str:
        shown = any(not isinstance(part, str) for turn in asked.turns for part in turn.parts)
        plain = Turn(role="user", parts=(_GREY, _PLAIN) if shown else (_PLAIN,))
        return self._service().post(
            "chat/completions",
            self._question(asked.turns, asked, self.max_tokens),
            plain=self._question((plain,), asked, 1),
            read=_text,
            called_off=called_off,
        )

    def _question(self, turns: Sequence[Turn], asked: Ask, max_tokens: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [self._message(turn) for turn in turns],
            "temperature": self.temperature,
            "max_tokens": max_tokens,
            "seed": asked.seed,
        }
        if asked.schema is not None and self.json_mode == "json_schema":
            schema = {"name": "answer", "strict": True, "schema": dict(asked.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif asked.schema is not None and self.json_mode == "json_object":
            body["response_format"] = {"type": "json_object"}
        if self.thinking != "unsaid":
            body["chat_template_kwargs"] = {"enable_thinking": self.thinking == "on"}
        return body

    def _embed(self, item: Sequence[str | Picture], instruction: str, called_off: threading.Event) -> Vector:
        shown = any(not isinstance(part, str) for part in item)
        return self._service().post(
            "embeddings",
            self._embeddable(item, instruction),
            plain=self._embeddable([_GREY if shown else _PLAIN], ""),
            read=_vector,
            called_off=called_off,
        )

    def _embeddable(self, item: Sequence[str | Picture], instruction: str) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, "encoding_format": "float"}
        if self.embedding_input == "messages":
            system = [Turn(role="system", parts=(instruction,))] if instruction else []
            turns = [*system, Turn(role="user", parts=tuple(item))]
            return body | {"messages": [self._message(turn) for turn in turns]}
        return body | {"input": [self._object(part, instruction) for part in item]}

    def _message(self, turn: Turn) -> dict[str, Any]:
        if len(turn.parts) == 1 and isinstance(turn.parts[0], str):
            return {"role": turn.role, "content": turn.parts[0]}  # some templates take nothing else of a system turn
        return {"role": turn.role, "content": [self._part(part) for part in turn.parts]}

    def _part(self, part: str | Picture) -> dict[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part}
        return {"type": "image_url", "image_url": {"url": data_url(part, self.picture_format)}}

    def _object(self, part: str | Picture, instruction: str) -> dict[str, str]:
        if isinstance(part, str):
            return {"text": f"{instruction} {part}".strip()}
        return {"image": data_url(part, self.picture_format)}

    def _service(self) -> Service:
        return _service(
            self.base_url,
            self.api_key_env,
            Patience(
                connect_s=self.connect_s,
                read_s=self.read_s,
                total_s=self.total_s,
                num_retries=self.num_retries,
                backoff_s=self.backoff_s,
                backoff_max_s=self.backoff_max_s,
            ),
        )


@functools.cache
def _service(base_url: str, api_key_env: str, patience: Patience) -> Service:
    """One a worker and service: its connections are kept open, and all engines see one another's trouble."""
    return Service(base_url=base_url, api_key_env=api_key_env, patience=patience)


def data_url(picture: Picture, picture_format: str = "jpeg") -> str:
    """A picture (height, width, 3), RGB, as the URL that holds it. JPEG at quality 95 without chroma subsampling."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    suffix = ".jpg" if picture_format == "jpeg" else ".png"
    is_written, encoded = cv2.imencode(suffix, picture[..., ::-1], options if picture_format == "jpeg" else [])
    assert is_written, f"a picture of shape {picture.shape} and type {picture.dtype} cannot be encoded"
    return f"data:image/{picture_format};base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _text(answer: Any) -> str:
    choice = answer["choices"][0]
    text = choice["message"].get("content")
    if choice.get("finish_reason") == "length":
        raise NoAnswer(TOO_LONG, f"it begins {str(text)[:200]!r}")
    if not isinstance(text, str):
        refusal = choice["message"].get("refusal") or choice.get("finish_reason")
        raise NoAnswer(NO_TEXT, str(refusal)[:200])
    return text


def _vector(answer: Any) -> Vector:
    """The mean of the vectors of the item's parts: one, except where `objects` has several."""
    rows = np.asarray([row["embedding"] for row in answer["data"]], dtype=np.float64)
    vector = rows.mean(0)
    norm = float(np.linalg.norm(vector))
    if rows.ndim != 2 or not np.isfinite(norm) or norm == 0:
        raise ValueError("the embedding is empty, zero or not finite")
    unit: Vector = (vector / norm).astype(np.float32)
    return unit


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} = {value!r}; take one of {', '.join(known)}")
