"""The shape of those who answer requests."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from annotate.gateway.rules import Asked
from annotate.gateway.sessions import Person

Answerer = Callable[[Asked, Person, Request], Awaitable[Response]]
OpenAnswerer = Callable[[Asked, Request], Awaitable[Response]]
"""For those whom nobody needs to know."""
