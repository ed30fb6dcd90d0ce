"""Who is asking: Label Studio says so by the session cookie, and is believed for a few seconds. And how often somebody
may try a password."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from weakref import WeakValueDictionary

from starlette.requests import Request

from annotate.errors import BoardDown
from annotate.gateway.errors import Refused
from annotate.gateway.upstream import SESSION, Upstream
from annotate.home import Member

LIFE_S = 5.0
MOST_REMEMBERED = 10_000
WHOAMI = "/api/current-user/whoami"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An account of Label Studio whose session is good."""

    user: int
    email: str
    is_operator: bool
    is_member: bool
    """Somebody who was invited to this board."""


def check_invited(person: Person) -> None:
    """`Refused` for an account of Label Studio that has no business here, or has none any more."""
    if not (person.is_member or person.is_operator):
        raise Refused(403, f"{person.email} was not invited to this board; ask for an invitation")


class Sessions:
    """Remembers for `LIFE_S` seconds whose a session is, and asks once where several requests come at once."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        operator: str,
        members: Callable[[], Collection[Member]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._operator = operator.lower()
        self._members = members
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Person | None]] = OrderedDict()
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def who(self, request: Request) -> Person | None:
        """None: no session, or one that Label Studio does not take."""
        session = request.cookies.get(SESSION)
        if not session:
            return None
        lock = self._asking.setdefault(session, asyncio.Lock())
        async with lock:
            known = self._known.get(session)
            if known is not None and known[0] > self._clock():
                return known[1]
            person = await self._ask(request)
            self.remember(session, person)
            return person

    def remember(self, session: str, person: Person | None) -> None:
        """Whose a session is, as Label Studio has just said: it answered, or it signed a new one in an answer."""
        self._known[session] = (self._clock() + LIFE_S, person)
        self._known.move_to_end(session)
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, request: Request) -> None:
        """Ask again next time: somebody logs in or out."""
        self._known.pop(request.cookies.get(SESSION, ""), None)

    async def _ask(self, request: Request) -> Person | None:
        said = await self._upstream.ask("GET", WHOAMI, request=request)
        if said.status in (401, 403) or 300 <= said.status < 400:
            return None
        if said.status != 200:
            raise BoardDown(f"Label Studio answered {said.status} when asked who is asking; see its log")
        values = said.json()
        user, email = int(values["id"]), str(values["email"])
        is_member = any(member.user == user for member in self._members())
        return Person(user=user, email=email, is_operator=email.lower() == self._operator, is_member=is_member)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """So many attempts in so many seconds."""

    num_by_email: int = 8
    num_by_address: int = 60
    """A team behind one address has its typing errors, too."""
    window_s: float = 300.0


class LoginLimit:
    """Counts attempts to log in, by address and by e-mail. A good one clears the e-mail's, and is not held against the
    address."""

    def __init__(self, limits: Limits | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits or Limits()
        self._clock = clock
        self._tried: dict[tuple[str, str], deque[float]] = {}

    def attempt(self, *, address: str, email: str) -> None:
        """`Refused` (429, with the seconds to wait) where there were too many; else this one is counted."""
        now = self._clock()
        self._clean(now)
        counted = [(("address", address), self._limits.num_by_address), (_named(email), self._limits.num_by_email)]
        for key, most in counted:
            tried = self._tried.get(key, deque())
            if len(tried) >= most:
                wait_s = int(tried[0] + self._limits.window_s - now) + 1
                raise Refused(429, f"too many attempts to log in; wait {wait_s} s", {"retry-after": str(wait_s)})
        for key, _ in counted:
            self._tried.setdefault(key, deque()).append(now)

    def succeeded(self, *, address: str, email: str) -> None:
        self._tried.pop(_named(email), None)
        tried = self._tried.get(("address", address))
        if tried:
            tried.pop()

    def _clean(self, now: float) -> None:
        """Forget what lies before the window; short, as every attempt does it."""
        for key, tried in list(self._tried.items()):
            while tried and tried[0] <= now - self._limits.window_s:
                tried.popleft()
            if not tried:
                del self._tried[key]


def _named(email: str) -> tuple[str, str]:
    return ("email", email.strip().lower()[:256])
