"""Asking a language or vision-language model: what is asked, who can answer, and answers in JSON that can be trusted.

Two things answer, and one line of a profile switches between them: `chat_http:ChatHttp`, an OpenAI-compatible service,
and `chat_local:ChatLocal`, a network in this process.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

import jsonschema

from flows.engines.ports import Picture

ROLES = ("system", "user", "assistant")
UNUSABLE = "answer not usable after a repair"
TOO_LONG = "answer longer than max_tokens"
NO_TEXT = "the model gave no text"
SAID = (UNUSABLE, TOO_LONG, NO_TEXT)
"""Reasons of a `NoAnswer` where the model did answer, and not in the form asked for: asking again changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Turn:
    """What one side said: texts and pictures, in the order in which they are shown."""

    role: str
    """`system`, `user` or `assistant`."""
    parts: tuple[str | Picture, ...]

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"a turn of {self.role!r}; take one of {', '.join(ROLES)}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ask:
    """One conversation that waits for the assistant's next turn."""

    turns: tuple[Turn, ...]
    schema: Mapping[str, Any] | None = None
    """JSON schema of the answer; what answers may use it to constrain itself, and need not."""
    seed: int = 0
    """Without effect where the answer is greedy (temperature 0)."""


class NoAnswer(Exception):
    """An item's own trouble: handed back in the place of its answer, so that it costs itself and not its batch."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        """A few words that many items share."""
        self.detail = detail
        """What happened to this one."""


class Chat(Protocol):
    """What can answer. `EngineUnavailable` if it cannot answer anybody."""

    revision: str

    def load(self) -> object:
        """Load the model now, or reach its service; otherwise that happens at first use."""
        ...

    def answer(self, asks: Sequence[Ask]) -> Sequence[str | NoAnswer]:
        """The text of one answer an ask, in order."""
        ...


def ask(prompt: str, *pictures: Picture, system: str = "", schema: Mapping[str, Any] | None = None) -> Ask:
    """The plain case: pictures, then a question about them."""
    before = (Turn(role="system", parts=(system,)),) if system else ()
    return Ask(turns=(*before, Turn(role="user", parts=(*pictures, prompt))), schema=schema)


def answers_in_json(
    chat: Chat, asks: Sequence[Ask], *, objection: Callable[[int, Any], str | None] | None = None
) -> list[Any]:
    """One parsed JSON value an ask, valid by the ask's schema; `NoAnswer` in its place where there is none.

    `objection(index, value)` says what else is wrong with a valid answer, None if nothing is. An answer that cannot be
    used is sent back once, together with what is wrong with it; the second answer is the last.
    """
    first = chat.answer(asks)
    values = [_judged(index, text, asks, objection) for index, text in enumerate(first)]
    again = {index: value for index, value in enumerate(values) if isinstance(value, _Unusable)}
    repairs = [_repair(asks[index], unusable) for index, unusable in again.items()]
    second = chat.answer(repairs) if repairs else []
    for index, text in zip(again, second, strict=True):
        value = _judged(index, text, asks, objection)
        values[index] = value.final() if isinstance(value, _Unusable) else value
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unusable:
    text: str
    complaint: str

    def final(self) -> NoAnswer:
        return NoAnswer(UNUSABLE, f"{self.complaint}; answered: {self.text[:500]}")


def _judged(
    index: int, text: str | NoAnswer, asks: Sequence[Ask], objection: Callable[[int, Any], str | None] | None
) -> Any:
    """The value of an answer; `_Unusable` if it has none; `NoAnswer` if there was no answer."""
    if isinstance(text, NoAnswer):
        return text
    try:
        value = parsed(text, asks[index].schema)
    except ValueError as error:
        return _Unusable(text=text, complaint=str(error))
    complaint = objection(index, value) if objection else None
    return value if complaint is None else _Unusable(text=text, complaint=complaint)


def _repair(asked: Ask, unusable: _Unusable) -> Ask:
    said = Turn(role="assistant", parts=(without_thoughts(unusable.text) or unusable.text,))
    wanted = Turn(
        role="user",
        parts=(f"That answer cannot be used: {unusable.complaint}. Answer again, with the corrected JSON alone.",),
    )
    return replace(asked, turns=(*asked.turns, said, wanted))


_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*)\n\s*```\Z", re.DOTALL)


def without_thoughts(text: str) -> str:
    """The answer after its `<think>` blocks; nothing is left of a thought that did not end."""
    return _THOUGHT.sub("", text).strip()


def parsed(text: str, schema: Mapping[str, Any] | None = None) -> Any:
    """The JSON value that an answer is, alone or in a code fence; `ValueError` says in one line why it is none."""
    bare = without_thoughts(text)
    fenced = _FENCE.match(bare)
    try:
        value = json.loads(fenced[1] if fenced else bare, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from error
    if schema is not None:
        _check(value, schema)
    return value


def _check(value: Any, schema: Mapping[str, Any]) -> None:
    errors = sorted(_validator(json.dumps(schema)).iter_errors(value), key=lambda error: list(map(str, error.path)))
    if errors:
        place = errors[0].json_path.replace("$", "the answer", 1)
        raise ValueError(f"it does not fit the schema ({place}: {errors[0].message[:300]})")


@cache
def _validator(schema: str) -> Any:
    return jsonschema.Draft202012Validator(json.loads(schema))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
