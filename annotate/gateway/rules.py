"""What an annotator may ask for: one table, and the only place that decides. Pure: no network, no files.

A path is brought to one spelling first (`canonical`), the decision is made on that spelling, and that spelling is what
is forwarded: a trick that two servers would read differently has nothing to work on. What is not in the table is
refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qs, unquote_to_bytes

from annotate.gateway.errors import Refused


class Deed(StrEnum):
    """What is done with a request."""

    # Forwarded to Label Studio: the path as decided on, no query of the client's, a body only if we wrote it.
    STATIC = "static"
    LOGIN_PAGE = "login_page"
    LOGIN = "login"
    LOGOUT = "logout"
    PAGE = "page"
    # Asked of Label Studio, and only what annotators need is passed on.
    WHOAMI = "whoami"
    PROJECT = "project"
    MANAGER_PROJECT = "manager_project"
    # Answered here, from what the deck knows about the person who asks.
    HOME = "home"
    USERS = "users"
    VIEWS = "views"
    KEPT_VIEW = "kept_view"
    COLUMNS = "columns"
    ML_BACKENDS = "ml_backends"
    VERSION = "version"
    LABEL_LINKS = "label_links"
    TASK_LIST = "task_list"
    HISTORY = "history"
    TIPS = "tips"
    NEXT = "next"
    TASK = "task"
    DRAFT = "draft"
    DRAFT_AGAIN = "draft_again"
    # Checked here, rewritten here, kept by Label Studio.
    VOTE = "vote"
    EDIT = "edit"
    UNSKIP = "unskip"
    # The gateway's own.
    MEDIA = "media"
    PLAYER = "player"
    OWN_STATIC = "own_static"
    PROGRESS = "progress"
    WAKE = "wake"
    ALLOWED = "allowed"
    HEALTH = "health"


OPEN = frozenset(
    {Deed.STATIC, Deed.LOGIN_PAGE, Deed.LOGIN, Deed.WAKE, Deed.ALLOWED, Deed.HEALTH, Deed.OWN_STATIC, Deed.TIPS}
)
"""Nobody need be logged in for these."""

OWN = frozenset({Deed.MEDIA, Deed.PLAYER, Deed.OWN_STATIC, Deed.PROGRESS, Deed.WAKE, Deed.ALLOWED, Deed.HEALTH})
"""The gateway's own, for the operator too: Label Studio does not know these paths."""

READ = ("GET", "HEAD")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, and may therefore come from any page."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern`: {project} is ours and no other, {task}, {answer} and {draft} are whole numbers, {name} is one segment,
    {path} any segments. A trailing slash is no difference. `query`: what the query must say for the rule to hold."""

    methods: tuple[str, ...]
    pattern: str
    deed: Deed
    query: tuple[tuple[str, str], ...] = ()


TABLE = (
    Rule(READ, "/static/{path}", Deed.STATIC),
    Rule(READ, "/react-app/{path}", Deed.STATIC),
    Rule(READ, "/dm/{path}", Deed.STATIC),
    Rule(READ, "/label-studio-frontend/{path}", Deed.STATIC),
    Rule(READ, "/sw.js", Deed.STATIC),
    Rule(READ, "/sw-fallback.js", Deed.STATIC),
    Rule(READ, "/favicon.ico", Deed.STATIC),
    Rule(READ, "/user/login", Deed.LOGIN_PAGE),
    Rule(("POST",), "/user/login", Deed.LOGIN),
    Rule(("GET", "POST"), "/logout", Deed.LOGOUT),
    Rule(READ, "/", Deed.HOME),
    Rule(READ, "/projects", Deed.HOME),
    Rule(READ, "/projects/{project}", Deed.HOME),
    Rule(READ, "/projects/{project}/data", Deed.PAGE, (("labeling", "1"),)),
    Rule(READ, "/projects/{project}/data", Deed.HOME),
    Rule(READ, "/api/current-user/whoami", Deed.WHOAMI),
    Rule(READ, "/api/projects/{project}", Deed.PROJECT),
    Rule(READ, "/api/dm/project", Deed.MANAGER_PROJECT),
    Rule(READ, "/api/users", Deed.USERS),
    Rule(READ, "/api/dm/views", Deed.VIEWS),
    Rule(("PUT", "PATCH"), "/api/dm/views/{view}", Deed.KEPT_VIEW),
    Rule(READ, "/api/dm/columns", Deed.COLUMNS),
    Rule(READ, "/api/ml", Deed.ML_BACKENDS),
    Rule(READ, "/api/version", Deed.VERSION),
    Rule(READ, "/api/label_links", Deed.LABEL_LINKS),
    Rule(READ, "/api/tasks", Deed.TASK_LIST),
    Rule(READ, "/api/projects/{project}/label-stream-history", Deed.HISTORY),
    Rule(READ, "/heidi-tips", Deed.TIPS),
    Rule(("POST",), "/api/dm/actions", Deed.NEXT, (("id", "next_task"),)),
    Rule(READ, "/api/tasks/{task}", Deed.TASK),
    Rule(("POST",), "/api/tasks/{task}/annotations", Deed.VOTE),
    Rule(("PATCH",), "/api/annotations/{answer}", Deed.EDIT),
    Rule(("DELETE",), "/api/annotations/{answer}", Deed.UNSKIP),
    Rule(("POST",), "/api/tasks/{task}/drafts", Deed.DRAFT),
    Rule(("POST",), "/api/tasks/{task}/annotations/{answer}/drafts", Deed.DRAFT),
    Rule(("PATCH", "DELETE"), "/api/drafts/{draft}", Deed.DRAFT_AGAIN),
    Rule(READ, "/likeness/media/{name}", Deed.MEDIA),
    Rule(READ, "/likeness/player", Deed.PLAYER),
    Rule(READ, "/likeness/static/{name}", Deed.OWN_STATIC),
    Rule(READ, "/likeness/progress", Deed.PROGRESS),
    Rule(("POST",), "/likeness/wake", Deed.WAKE),
    Rule(READ, "/likeness/allowed", Deed.ALLOWED),
    Rule(READ, "/likeness/health", Deed.HEALTH),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that the table has."""

    deed: Deed
    path: str
    """The one spelling of it; percent-encoding is undone, and none is needed."""
    numbers: Mapping[str, int]
    """`task`, `answer`, `draft`, as far as the pattern has them."""
    name: str
    """The last part of the path, where the pattern ends in {name}; else nothing."""
    query: Mapping[str, str]
    """What the client said there; where a key came twice, it is not here."""


def decide(method: str, raw_path: bytes, raw_query: bytes, *, project: int) -> Asked:
    """What is done with a request of somebody who is not the operator. `Refused` where the table does not have it."""
    path = canonical(raw_path)
    query = query_of(raw_query)
    bare = path.rstrip("/") or "/"
    for rule, pattern in _compiled(project):
        found = pattern.fullmatch(bare)
        if found and method in rule.methods and all(query.get(key) == value for key, value in rule.query):
            groups = found.groupdict()
            numbers = {key: int(value) for key, value in groups.items() if key in NUMBERS}
            return Asked(deed=rule.deed, path=path, numbers=numbers, name=groups.get("name", ""), query=query)
    raise Refused(403, f"{method} {bare} is not for annotators")


NUMBERS = frozenset({"task", "answer", "draft", "view"})
_PLAIN = re.compile(rb"[A-Za-z0-9_.~!$&'()*+,=:@/ -]*")
_PARTS = {
    "name": r"(?P<name>[A-Za-z0-9_.-]{1,100})",
    "path": r"[^\s].*",
    **{number: rf"(?P<{number}>[1-9][0-9]{{0,15}})" for number in NUMBERS},
}
_MADE: dict[int, tuple[tuple[Rule, re.Pattern[str]], ...]] = {}


def canonical(raw_path: bytes) -> str:
    """The one spelling of a path: percent-encoding undone once, and only where nothing odd comes to light."""
    path = unquote_to_bytes(raw_path)
    segments = path.split(b"/")[1:]
    if b"%2f" in raw_path.lower():
        raise Refused(403, "this path hides a slash")
    if not path.startswith(b"/") or not _PLAIN.fullmatch(path):
        raise Refused(403, "this path has letters that no path here has")
    if any(part in (b".", b"..") for part in segments) or b"" in segments[:-1]:
        raise Refused(403, "this path has empty or dotted parts")
    return path.decode("ascii")


def query_of(raw_query: bytes) -> dict[str, str]:
    """What a query says; a key that comes twice is left out, so that nobody picks the wrong one of the two."""
    try:
        found = parse_qs(raw_query.decode("ascii"), keep_blank_values=True, max_num_fields=50)
    except ValueError as error:
        raise Refused(400, "this query cannot be read") from error
    return {key: values[0] for key, values in found.items() if len(values) == 1}


def _compiled(project: int) -> tuple[tuple[Rule, re.Pattern[str]], ...]:
    if project not in _MADE:
        _MADE[project] = tuple((rule, _pattern(rule.pattern, project)) for rule in TABLE)
    return _MADE[project]


def _pattern(pattern: str, project: int) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", pattern)
    known = _PARTS | {"project": str(project)}
    return re.compile("".join(known[part] if index % 2 else re.escape(part) for index, part in enumerate(parts)))
