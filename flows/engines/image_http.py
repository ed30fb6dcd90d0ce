"""Any image model behind an OpenAI-compatible service (`/images/edits`) shows a person from other perspectives.

ID-Crafter's supplement uses such a model and finds that it keeps the subject better than Kontext does; which does is
measured (`likeness yields`). Known to speak it: OpenAI itself, vLLM-Omni, LocalAI, LiteLLM's proxy to others. Requests
are multipart forms, answers hold the picture itself (`b64_json`): an address in an answer is not followed.
"""

import base64
import functools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from flows.engines import perspectives
from flows.engines.chat import NoAnswer
from flows.engines.http_calls import Patience, Service
from flows.engines.kontext import fitted, seed_of
from flows.engines.ports import Picture, View
from warehouse import ids
from warehouse.errors import EngineUnavailable

_PLAIN = "Return this picture unchanged."
_GREY: Picture = np.full((256, 256, 3), 128, dtype=np.uint8)
"""What a service is asked to see whether it answers at all."""
LEAST_SIDE_PX = 32
"""A smaller picture is no view of a person, whatever the service meant by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHttp:
    """`Synthesizer`. A view that the service refuses is left out; a service that answers nobody stops the run."""

    base_url: str
    """Up to and with the version, as `http://127.0.0.1:8000/v1`."""
    model: str
    """The name by which the service knows it."""
    model_revision: str = "main"
    """Which weights serve under that name: part of every fact's key. The service does not tell; you must."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key; empty: none sent."""

    prompts: Sequence[str] = ()
    """Names of `perspectives.PERSPECTIVES`, or own ones as `name: text`; none: all of them."""
    size: str = "auto"
    """As the service spells it, such as `1024x1024`."""
    extra: Sequence[str] = ()
    """More fields of the form, as `name=value`: `guidance_scale=2.5`, `quality=high`, ..."""
    is_seeded: bool = False
    """Send a `seed`, drawn from picture and prompt; OpenAI itself refuses the field."""
    asks_for_b64: bool = True
    """Send `response_format = b64_json`; OpenAI's GPT image models refuse the field, and answer so anyway."""
    area_px: int = 1 << 20
    """Pixels of the picture that is sent."""
    seed: int = 0

    concurrency: int = 4
    """Requests at once."""
    connect_s: float = 10.0
    read_s: float = 300.0
    """Longest silence while an answer is awaited."""
    total_s: float = 900.0
    """Of one view, all tries and waits together."""
    num_retries: int = 4
    backoff_s: float = 2.0
    backoff_max_s: float = 60.0

    def __post_init__(self) -> None:
        if not self.model or self.concurrency < 1:
            raise ValueError("`model` must name what the service serves, and concurrency be at least 1")
        perspectives.chosen(self.prompts)
        self._extra()
        self._service()

    @property
    def name(self) -> str:
        return f"http {self.model}"

    @property
    def revision(self) -> str:
        """Of what decides answers: neither the address nor the patience is part of it."""
        prompts = list(perspectives.chosen(self.prompts).items())
        decisive = ids.digest([prompts, self.size, self._extra(), self.is_seeded, self.area_px, self.seed])[:12]
        return f"image-http-1-{self.model}@{self.model_revision}-{decisive}"

    def load(self) -> None:
        """Have the service draw a grey square; `EngineUnavailable` where it cannot."""
        called_off, form = threading.Event(), self._form(_GREY, _PLAIN)
        self._service().post("images/edits", form, plain=form, read=read_picture, called_off=called_off)

    def views(self, picture: Picture) -> Sequence[View]:
        """One view a prompt, in their order, without those that the service could not make of this picture."""
        prompts = perspectives.chosen(self.prompts)
        called_off = threading.Event()

        def one(prompt: str) -> Picture | NoAnswer | EngineUnavailable:
            try:
                return self._drawn(picture, prompt, called_off)
            except NoAnswer as error:
                return error
            except EngineUnavailable as error:
                called_off.set()
                return error

        with ThreadPoolExecutor(min(self.concurrency, len(prompts)), thread_name_prefix="image-http") as pool:
            answers = dict(zip(prompts, pool.map(one, prompts.values()), strict=True))
        if troubles := [each for each in answers.values() if isinstance(each, EngineUnavailable)]:
            raise next((each for each in troubles if "called off" not in str(each)), troubles[0])
        return [
            View(name=name, picture=each, is_resynthesised=True, synthesizer=self.name, prompt=prompts[name])
            for name, each in answers.items()
            if not isinstance(each, Exception)
        ]

    def _drawn(self, picture: Picture, prompt: str, called_off: threading.Event) -> Picture:
        if called_off.is_set():
            raise EngineUnavailable(f"{self.base_url}: called off, because another request found it unavailable")
        return self._service().post(
            "images/edits",
            self._form(picture, prompt),
            plain=self._form(_GREY, _PLAIN),
            read=read_picture,
            called_off=called_off,
        )

    def _form(self, picture: Picture, prompt: str) -> dict[str, Any]:
        form: dict[str, Any] = {
            "model": self.model,
            "prompt": prompt,
            "n": 1,
            "size": self.size,
            "image": _png(fitted(picture, self.area_px)),
        }
        if self.asks_for_b64:
            form["response_format"] = "b64_json"
        if self.is_seeded:
            form["seed"] = seed_of(picture, prompt, self.seed) % 2**31
        return form | self._extra()

    def _extra(self) -> dict[str, str]:
        pairs = [entry.partition("=") for entry in self.extra]
        if wrong := [name for name, mark, _ in pairs if not (name and mark)]:
            raise ValueError(f"extra = {wrong[0]!r}: give each field as 'name=value'")
        return {name.strip(): value.strip() for name, _, value in pairs}

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


def read_picture(answer: Any) -> Picture:
    """The picture of an answer of `/images/edits`: (h, w, 3) RGB. `NoAnswer` where there is none."""
    if not answer["data"]:
        raise NoAnswer("the service made no picture")
    content = np.frombuffer(base64.b64decode(answer["data"][0]["b64_json"], validate=True), np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB)
    if picture is None or min(picture.shape[:2]) < LEAST_SIDE_PX:
        raise NoAnswer("the service's picture cannot be used", "it cannot be read, or is tiny")
    return np.asarray(picture, dtype=np.uint8)


def _png(picture: Picture) -> bytes:
    is_written, content = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert is_written
    return content.tobytes()


@functools.cache
def _service(base_url: str, api_key_env: str, patience: Patience) -> Service:
    """One a worker and service: its connections are kept open."""
    return Service(base_url=base_url, api_key_env=api_key_env, patience=patience)
