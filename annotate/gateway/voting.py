"""Votes on their way to Label Studio: one person's votes on one task take turns, and make one annotation.

Three things keep a vote from being doubled: the turn around check, forward and note; an id that is the same for every
attempt of a person at a task, of which Label Studio takes one; and, whenever an attempt ended in anything but a clear
answer, a look at the task itself before anything else is said about it.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

import httpx
from starlette.requests import Request

from annotate.board import Answer
from annotate.dealing.deck import Deck
from annotate.errors import BoardDown, BoardRefused
from annotate.gateway import answers
from annotate.gateway.errors import Refused
from annotate.gateway.sessions import Person, Sessions
from annotate.gateway.upstream import Said, Upstream, session_in
from annotate.gateway.votes import Cast, unique_id

log = logging.getLogger(__name__)


class Voting:
    """Passes on what was checked, and tells the deck what Label Studio took."""

    def __init__(self, *, upstream: Upstream, sessions: Sessions, deck: Deck) -> None:
        self._upstream = upstream
        self._sessions = sessions
        self._deck = deck
        self._turns: WeakValueDictionary[tuple[int, int], asyncio.Lock] = WeakValueDictionary()

    async def cast(self, cast: Cast, *, number: int, person: Person, request: Request) -> tuple[Answer, Said]:
        """A vote or a skip on a task: the annotation it has become. `NotDealt` where it is not theirs to answer."""
        async with self._turn(person, number):
            own = self._own(person, number)
            if own is not None and _is_same(cast, own):
                return own, _composed(200, answers.annotation(own, person=person, project=0))
            self._deck.may_answer(person.user, number)
            if own is not None:  # a skip, thought over again: the vote takes its place
                return await self._edited(cast, answer_id=own.id, number=number, person=person, request=request)
            said = await self._attempt(cast, number=number, person=person, request=request)
            kept = self._noted(said, person=person, number=number)
            if _is_same(cast, kept):
                return kept, said
            # an attempt whose answer was lost had said something else
            return await self._edited(cast, answer_id=kept.id, number=number, person=person, request=request)

    async def edit(self, cast: Cast, *, answer_id: int, person: Person, request: Request) -> tuple[Answer, Said]:
        """One's own vote, changed."""
        number = self._deck.own(person.user, answer_id)
        if number is None:
            raise Refused(403, f"annotation {answer_id} is not yours to edit")
        async with self._turn(person, number):
            own = self._own(person, number)
            if own is not None and own.was_cancelled and not cast.was_cancelled:
                self._deck.may_answer(person.user, number)
            return await self._edited(cast, answer_id=answer_id, number=number, person=person, request=request)

    async def _attempt(self, cast: Cast, *, number: int, person: Person, request: Request) -> Said:
        body = cast.body() | {"unique_id": unique_id(task=number, user=person.user), "draft_id": 0}
        path = f"/api/tasks/{number}/annotations"
        try:
            said = await self._upstream.ask("POST", path, request=request, content=json.dumps(body).encode())
        except BoardDown as error:
            log.warning("task %s, user %s: %s; looking whether the vote was kept", number, person.user, error)
            return await self._kept(number=number, person=person, request=request)
        if said.status == 409 or said.status >= 500:
            return await self._kept(number=number, person=person, request=request)
        return said

    async def _kept(self, *, number: int, person: Person, request: Request) -> Said:
        """The person's annotation on a task, as Label Studio has it. `BoardDown` where it has none."""
        said = await self._upstream.ask("GET", f"/api/tasks/{number}", request=request)
        found = said.json().get("annotations", []) if said.status == 200 else []
        own = [each for each in found if answers.answer_of({"task": number} | each).completed_by == person.user]
        if not own:
            raise BoardDown(f"Label Studio did not keep the vote on task {number}; send it again")
        latest = max(own, key=lambda each: int(each["id"]))
        return _composed(201, {"task": number} | latest, said)

    async def _edited(
        self, cast: Cast, *, answer_id: int, number: int, person: Person, request: Request
    ) -> tuple[Answer, Said]:
        content = json.dumps(cast.body()).encode()
        said = await self._upstream.ask("PATCH", f"/api/annotations/{answer_id}", request=request, content=content)
        return self._noted(said, person=person, number=number), said

    def _noted(self, said: Said, *, person: Person, number: int) -> Answer:
        """What Label Studio took, told to the deck; its refusals are passed on, its failures are ours to report."""
        if said.status >= 500:
            raise BoardDown(f"Label Studio answered {said.status} to a vote on task {number}; see its log")
        if said.status not in (200, 201):
            detail = json.dumps(said.json())[:300]
            raise Refused(said.status, f"Label Studio answered {said.status}: {detail}")
        try:
            answer = answers.answer_of(said.json())
        except (KeyError, TypeError, ValueError) as error:
            raise BoardRefused(
                f"Label Studio's answer to a vote on task {number} cannot be read ({error!r})"
            ) from error
        renewed = session_in(said.headers)
        if renewed is not None:
            self._sessions.remember(renewed, person)
        self._deck.answered(person.user, number, answer)
        return answer

    def _own(self, person: Person, number: int) -> Answer | None:
        found = self._deck.task(number)
        return None if found is None else answers.own_answer(found, person.user)

    @asynccontextmanager
    async def _turn(self, person: Person, number: int) -> AsyncIterator[None]:
        lock = self._turns.setdefault((person.user, number), asyncio.Lock())
        async with lock:
            yield


def _composed(status: int, content: Any, said: Said | None = None) -> Said:
    return Said(status, said.headers if said else httpx.Headers(), json.dumps(content).encode())


def _is_same(cast: Cast, own: Answer) -> bool:
    """Whether a vote says what stands already: a double click, a second tab, an attempt repeated."""
    return cast.was_cancelled == own.was_cancelled and _meaning(cast.result) == _meaning(own.result)


def _meaning(result: tuple[Mapping[str, Any], ...]) -> list[tuple[str, str]]:
    """What a result says, without the ids that a page draws anew each time."""
    return sorted((str(region.get("from_name")), json.dumps(region.get("value"), sort_keys=True)) for region in result)
