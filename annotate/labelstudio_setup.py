"""What makes a fresh Label Studio ours, over HTTP: a personal token, the project, the webhook, annotators' accounts.

Each step looks first what is there, so that what was broken off is gone on with, and doing it again changes nothing.
"""

import html
import logging
import re
import secrets
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from annotate import interface
from annotate.errors import BoardDown, BoardRefused
from annotate.home import Member
from annotate.labelstudio_http import LabelStudioServer

log = logging.getLogger(__name__)

TITLE = "Likeness pairs"
DOMAIN = "likeness.local"
WAKE = "/likeness/wake"
WAKE_HEADER = "X-Likeness-Webhook"
WAKE_ACTIONS = (
    "ANNOTATIONS_CREATED",
    "ANNOTATIONS_DELETED",
    "ANNOTATION_CREATED",
    "ANNOTATION_UPDATED",
    "TASKS_CREATED",
    "TASKS_DELETED",
)
PASSWORD_BYTES = 12
"""96 bits, 16 letters."""
_FORM_ERROR = re.compile(r'<p class="error">\s*([^<]+)|<ul class="field_errors">\s*<li>\s*([^<]+)')
_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody whom Label Studio knows, invited by us or not."""

    user: int
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """A new account; nobody else is ever told its password."""

    member: Member
    password: str = field(repr=False)


def personal_token(url: str, operator: str, password: str, *, kept: str = "") -> str:
    """The operator's personal token: `kept` if the server still takes it, else a new one in place of any other.

    Keep it before anything else is done with it. `BoardRefused` where the password is wrong.
    """
    with _server(url, _Header()) as server:
        if kept and _access_token(server, kept) is not None:
            return kept
    with _server(url, _log_in(url, operator, password)) as server:
        return _new_token(server)


class LabelStudioSetup:
    """The operator at work, for as long as an access token lasts (five minutes). Use it in a `with` block."""

    def __init__(self, url: str, personal_token: str) -> None:
        with _server(url, _Header()) as server:
            access = _access_token(server, personal_token)
        if access is None:
            raise BoardRefused(f"{url}: the personal token is refused; let `likeness board up` make a new one")
        self._server = LabelStudioServer(url, _Header({"Authorization": f"Bearer {access}"}))

    def __enter__(self) -> "LabelStudioSetup":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def secure(self) -> None:
        """Only personal tokens are taken from now on."""
        wanted = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": False}
        found = self._server.get("/api/jwt/settings")
        if _differing(found, wanted):
            self._server.send("POST", "/api/jwt/settings", json=wanted)

    def project(self, *, kept: int | None = None, title: str = TITLE) -> int:
        """The number of our project: `kept` if it is there, else the first of this title, else a new one; its labeling
        and settings as they should be."""
        wanted = _project_settings()
        found = next((each for each in self._projects() if each["id"] == kept), None) or next(
            (each for each in self._projects() if each["title"] == title), None
        )
        if found is None:
            made = self._server.send("POST", "/api/projects", json={"title": title, **wanted}).json()
            log.info("%s: project %s is made", self._server.url, made["id"])
            return int(made["id"])
        differing = _differing(found, wanted)
        if differing:
            log.info("%s: project %s gets its %s", self._server.url, found["id"], ", ".join(sorted(differing)))
            self._server.send("PATCH", f"/api/projects/{found['id']}", json=differing)
        return int(found["id"])

    def webhook(self, project: int, gateway: str, secret: str) -> None:
        """Have Label Studio tell the gateway that something happened: the action alone, never what it was."""
        wanted = {
            "url": gateway.rstrip("/") + WAKE,
            "headers": {WAKE_HEADER: secret},
            "send_payload": False,
            "send_for_all_actions": False,
            "is_active": True,
            "actions": list(WAKE_ACTIONS),
        }
        hooks = self._server.get("/api/webhooks/", project=project)
        ours = [hook for hook in hooks if hook["url"].endswith(WAKE)]
        if not ours:
            self._server.send("POST", "/api/webhooks/", json={**wanted, "project": project})
        for index, hook in enumerate(ours):
            found = {**hook, "actions": sorted(hook["actions"])}
            if index > 0:
                self._server.send("DELETE", f"/api/webhooks/{hook['id']}/")
            elif _differing(found, wanted):
                self._server.send("PATCH", f"/api/webhooks/{hook['id']}/", json=wanted)

    def accounts(self) -> tuple[Account, ...]:
        """Everybody who can log in, the operator too."""
        users = self._server.get("/api/users")
        return tuple(Account(user=user["id"], email=user["email"]) for user in users)

    def invite(self, name: str, *, is_adjudicator: bool = False) -> Invited:
        """Make an account with a password that is drawn. `BoardRefused` where there is one already."""
        email = email_of(name)
        if any(account.email == email for account in self.accounts()):
            raise BoardRefused(f"{name}: there is an account {email} already; invite them under another name")
        password = new_word()
        link = self._server.get("/api/invite")["invite_url"]
        _form(self._server.url, link, {"email": email, "password": password, "allow_newsletters": "off"})
        user = next((account.user for account in self.accounts() if account.email == email), None)
        if user is None:
            raise BoardRefused(f"{name}: Label Studio made no account {email}; see its log")
        return Invited(
            member=Member(user=user, name=name, email=email, is_adjudicator=is_adjudicator), password=password
        )

    def _projects(self) -> Iterator[Mapping[str, Any]]:
        page = 1
        while True:
            found = self._server.get("/api/projects/", page=page, page_size=100, ordering="id")
            yield from found["results"]
            if found["next"] is None:
                return
            page += 1


def new_word() -> str:
    """A password, drawn."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def email_of(name: str) -> str:
    """What somebody logs in as: their e-mail, or their name in plain letters as one of ours."""
    if "@" in name:
        return name.strip().lower()
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    local = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not local:
        raise BoardRefused(f"{name!r}: no name to log in with; give one with latin letters or digits, or an e-mail")
    return f"{local}@{DOMAIN}"


class _Header(httpx.Auth):
    """The same headers on every request; they are nobody's business."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._headers = headers or {}

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers.update(self._headers)
        yield request


@contextmanager
def _server(url: str, auth: httpx.Auth) -> Iterator[LabelStudioServer]:
    server = LabelStudioServer(url, auth)
    try:
        yield server
    finally:
        server.close()


def _project_settings() -> dict[str, Any]:
    return {
        "label_config": interface.labeling_xml().strip(),  # as the server keeps it
        "expert_instruction": interface.instructions_html().strip(),
        "show_instruction": True,
        "maximum_annotations": 3,
        "sampling": "Uniform sampling",
        "skip_queue": "REQUEUE_FOR_OTHERS",
        "enable_empty_annotation": False,
        "show_skip_button": True,
        "show_collab_predictions": False,
    }


def _differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if found.get(name) != value}


def _access_token(server: LabelStudioServer, personal_token: str) -> str | None:
    """None: the server does not take the personal token."""
    try:
        answer = server.patiently(
            lambda: server.send("POST", "/api/token/refresh/", json={"refresh": personal_token})
        ).json()
    except BoardRefused:
        return None
    return str(answer["access"])


def _new_token(server: LabelStudioServer) -> str:
    """An account has one personal token at most, which is told once: one that nobody kept is revoked."""
    for known in server.get("/api/token/"):
        server.send("POST", "/api/token/blacklist/", json={"refresh": known["token"]})
    return str(server.send("POST", "/api/token/").json()["token"])


def _log_in(url: str, email: str, password: str) -> _Header:
    """The headers of a session."""
    try:
        cookies = _form(url, "/user/login/", {"email": email, "password": password})
    except BoardRefused as error:
        raise BoardRefused(f"{email} cannot log in; is LIKENESS_BOARD_OPERATOR_PASSWORD theirs? {error}") from error
    return _Header({"Cookie": _cookie(cookies), "X-CSRFToken": cookies["csrftoken"], "Referer": url})


def _form(url: str, path: str, values: Mapping[str, str]) -> dict[str, str]:
    """Send a form as a browser does, and give the session's cookies. They are carried by hand: behind TLS they are
    marked as secure, and no client sends such ones to a server that it speaks to without."""
    shown = f"{url}{path.split('?')[0]}"
    try:
        with httpx.Client(base_url=url, timeout=60.0, trust_env=False) as http:
            page = http.get(path)
            token = _CSRF.search(page.text)
            if page.status_code != 200 or token is None:
                raise BoardRefused(f"{shown} answered {page.status_code} without a form; see the server's log")
            headers = {"Cookie": _cookie(page.cookies), "Referer": url + path}
            http.cookies.clear()
            answer = http.post(path, data={"csrfmiddlewaretoken": token[1], **values}, headers=headers)
    except httpx.TransportError as error:
        raise BoardDown(f"{shown}: no answer ({error!r}); see `likeness board status`") from error
    if answer.status_code != 302:
        said = _FORM_ERROR.search(answer.text)
        why = html.unescape(said[1] or said[2]).strip() if said else "its form came back"
        raise BoardRefused(f"{shown} answered {answer.status_code}: {why}")
    return {**page.cookies, **answer.cookies}


def _cookie(cookies: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
