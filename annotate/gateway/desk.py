"""Answers that need the deck: the next pair, looking back, votes, drafts, and the small things around them."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from annotate import links
from annotate.board import AnsweredTask
from annotate.dealing.deck import Deck
from annotate.errors import BoardDown
from annotate.gateway import answers
from annotate.gateway.bodies import read_body
from annotate.gateway.deeds import Answerer
from annotate.gateway.errors import Refused
from annotate.gateway.freshness import Freshness
from annotate.gateway.rules import Asked, Deed
from annotate.gateway.sessions import Person
from annotate.gateway.upstream import Said, Upstream, kept_headers
from annotate.gateway.votes import MOST_BYTES, read_cast, read_draft, unique_id
from annotate.gateway.voting import Voting

MOST_DRAFTS = 10_000
PROJECT_S = 5.0
NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "same-origin"}


class Desk:
    """Drafts live here, in memory: a restart costs somebody the half-made vote on their screen's last reload."""

    def __init__(
        self,
        *,
        project: int,
        link_key: str,
        deck: Deck,
        voting: Voting,
        upstream: Upstream,
        freshness: Freshness,
    ) -> None:
        self._project = project
        self._link_key = link_key
        self._deck = deck
        self._voting = voting
        self._upstream = upstream
        self._freshness = freshness
        self._drafts: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._about_project: tuple[float, Mapping[str, Any]] | None = None
        """Until when, and what Label Studio said."""

    def deeds(self) -> dict[Deed, Answerer]:
        """For those who are logged in."""
        return {
            Deed.PROJECT: self._project_page,
            Deed.MANAGER_PROJECT: self._project_page,
            Deed.USERS: self._users,
            Deed.VIEWS: self._views,
            Deed.KEPT_VIEW: self._kept_view,
            Deed.COLUMNS: self._columns,
            Deed.ML_BACKENDS: self._ml_backends,
            Deed.VERSION: self._version,
            Deed.LABEL_LINKS: self._label_links,
            Deed.TASK_LIST: self._task_list,
            Deed.HISTORY: self._history,
            Deed.PROGRESS: self._progress,
            Deed.NEXT: self._next,
            Deed.TASK: self._task,
            Deed.VOTE: self._vote,
            Deed.EDIT: self._edit,
            Deed.UNSKIP: self._unskip,
            Deed.DRAFT: self._draft,
            Deed.DRAFT_AGAIN: self._draft_again,
        }

    async def _project_page(self, asked: Asked, person: Person, request: Request) -> Response:
        """The page asks every few seconds, for its counts; the rest is the same for everybody, and kept for a while."""
        if self._about_project is None or self._about_project[0] < time.monotonic():
            said = await self._upstream.ask("GET", f"/api/projects/{self._project}/", request=request)
            if said.status != 200:
                raise BoardDown(
                    f"Label Studio answered {said.status} about project {self._project}; is it there still?"
                )
            self._about_project = (time.monotonic() + PROJECT_S, said.json())
        done = self._deck.progress(person.user)
        return _json(answers.project(self._about_project[1], num_done=done.num_done, num_open=done.num_open))

    async def _users(self, asked: Asked, person: Person, request: Request) -> Response:
        return _json(answers.users(person))

    async def _views(self, asked: Asked, person: Person, request: Request) -> Response:
        return _json([answers.view(1, person=person, project=self._project)])

    async def _kept_view(self, asked: Asked, person: Person, request: Request) -> Response:
        """The page keeps the widths of columns that nobody sees; it is told that they are kept."""
        return _json(answers.view(asked.numbers["view"], person=person, project=self._project))

    async def _columns(self, asked: Asked, person: Person, request: Request) -> Response:
        return _json(answers.COLUMNS)

    async def _ml_backends(self, asked: Asked, person: Person, request: Request) -> Response:
        return _json([])

    async def _version(self, asked: Asked, person: Person, request: Request) -> Response:
        return _json(answers.VERSION)

    async def _label_links(self, asked: Asked, person: Person, request: Request) -> Response:
        return _json(answers.EMPTY_PAGE)

    async def _task_list(self, asked: Asked, person: Person, request: Request) -> Response:
        return _json(answers.TASK_LIST)

    async def _history(self, asked: Asked, person: Person, request: Request) -> Response:
        return _json(answers.history(self._deck.dealt(person.user), person.user))

    async def _progress(self, asked: Asked, person: Person, request: Request) -> Response:
        done = self._deck.progress(person.user)
        return _json({"num_done": done.num_done, "num_open": done.num_open})

    async def _next(self, asked: Asked, person: Person, request: Request) -> Response:
        """The body, the page's filters, is not looked at: we deal."""
        if not self._freshness.is_filled:
            raise Refused(503, "the board is being read; try again in a moment", {"retry-after": "2"})
        found = self._deck.next_for(person.user)
        if found is None:
            raise Refused(404, "there is nothing left for you to vote on")
        lock = unique_id(task=found.number, user=person.user)
        return _json(self._shown(found, person) | {"unique_lock_id": lock, "queue": "likeness"})

    async def _task(self, asked: Asked, person: Person, request: Request) -> Response:
        return _json(self._shown(self._dealt(person, asked.numbers["task"]), person))

    async def _vote(self, asked: Asked, person: Person, request: Request) -> Response:
        number = asked.numbers["task"]
        cast = read_cast(await read_body(request, MOST_BYTES), user=person.user)
        answer, said = await self._voting.cast(cast, number=number, person=person, request=request)
        return self._taken(answers.annotation(answer, person=person, project=self._project), 201, said, person, number)

    async def _edit(self, asked: Asked, person: Person, request: Request) -> Response:
        cast = read_cast(await read_body(request, MOST_BYTES), user=person.user)
        answer, said = await self._voting.edit(cast, answer_id=asked.numbers["answer"], person=person, request=request)
        content = answers.annotation(answer, person=person, project=self._project)
        return self._taken(content, 200, said, person, answer.task)

    def _taken(self, content: Any, status: int, said: Said, person: Person, number: int) -> Response:
        """Label Studio has it: no draft is needed any more, and `collect --watch` is told."""
        self._drafts.pop((person.user, number), None)
        self._freshness.touch()
        response = _json(content, status)
        cookies = [(key, value) for key, value in kept_headers(said.headers) if key.lower() == b"set-cookie"]
        response.raw_headers += cookies
        return response

    async def _unskip(self, asked: Asked, person: Person, request: Request) -> Response:
        """The page takes back a skip by deleting it. Here it stands until a vote takes its place."""
        number = self._deck.own(person.user, asked.numbers["answer"])
        own = None if number is None else answers.own_answer(self._dealt(person, number), person.user)
        if own is None or not own.was_cancelled:
            raise Refused(403, "votes are edited, not deleted")
        return Response(status_code=204)

    async def _draft(self, asked: Asked, person: Person, request: Request) -> Response:
        number = self._dealt(person, asked.numbers["task"]).number
        said = read_draft(await read_body(request, MOST_BYTES))
        return self._kept(asked, number, said, person, 201)

    async def _draft_again(self, asked: Asked, person: Person, request: Request) -> Response:
        number = self._dealt(person, asked.numbers["draft"]).number
        if request.method == "DELETE":
            self._drafts.pop((person.user, number), None)
            return Response(status_code=204)
        said = read_draft(await read_body(request, MOST_BYTES))
        return self._kept(asked, number, said, person)

    def _kept(self, asked: Asked, number: int, said: Mapping[str, Any], person: Person, status: int = 200) -> Response:
        at = datetime.now(UTC).isoformat()
        draft = answers.draft_of(asked, said, number=number, at=at, person=person)
        self._drafts[person.user, number] = draft
        self._drafts.move_to_end((person.user, number))
        while len(self._drafts) > MOST_DRAFTS:
            self._drafts.popitem(last=False)
        return _json(draft, status)

    def _dealt(self, person: Person, number: int) -> AnsweredTask:
        found = self._deck.shown(person.user, number)
        if found is None:
            raise Refused(403, f"task {number} was not dealt to you")
        return found

    def _shown(self, found: AnsweredTask, person: Person) -> Any:
        def link(name: str) -> str:
            return links.sign(name, user=person.user, key=self._link_key)

        draft = self._drafts.get((person.user, found.number))
        return answers.task(found, person=person, project=self._project, link=link, draft=draft)


def _json(content: Any, status: int = 200) -> Response:
    return JSONResponse(content, status, NO_STORE)
