"""`likeness board` with a real Label Studio: from nothing, killed at any moment, gone on with; secrets stay secret."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from annotate.home import BoardHome
from annotate.hosting.configuration import Database
from annotate.hosting.up import Place, down, server
from annotate.labelstudio_setup import LabelStudioSetup
from tests.live.hosted import HostedBoard
from tests.served import ROOT

pytestmark = pytest.mark.live


class Hosted:
    """A home, and `likeness board` as a person types it."""

    def __init__(self, folder: Path, label_studio: Path, **settings: str) -> None:
        self.home = BoardHome(folder / "board")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")},
            "LIKENESS_HOME": str(folder),
            "LIKENESS_ORCHESTRATOR": "none",
            "LIKENESS_LABEL_STUDIO": str(label_studio),
            "LIKENESS_BOARD_PORT": "0",
            **settings,
        }

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "flows", "board", *words]

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            cwd=ROOT,
            env=self.environment | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def up(self) -> str:
        done = self.run("up")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1, "one line, and nothing else"
        return done.stdout.strip()

    def killed_up(self, after_s: float) -> None:
        """`up`, killed after so many seconds if it is not done by then."""
        with subprocess.Popen(
            self.command("up"), cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as starting:
            try:
                starting.wait(after_s)
            except subprocess.TimeoutExpired:
                starting.kill()

    def status(self) -> dict[str, Any]:
        done = self.run("status", "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def hosted(live_root: Path, label_studio_environment: Path) -> Iterator[Hosted]:
    """A board on SQLite that was started from nothing; each test leaves it up."""
    made = Hosted(live_root / "hosting", label_studio_environment)
    made.up()
    yield made
    down(made.home, print)


@contextmanager
def logged_in(origin: str, email: str, password: str) -> Iterator[httpx.Client]:
    """Somebody's browser, logged in through the gateway."""
    with httpx.Client(base_url=origin, trust_env=False, timeout=30) as client:
        page = client.get("/user/login/")
        token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        form = {"csrfmiddlewaretoken": token, "email": email, "password": password}
        answer = client.post("/user/login/", data=form, headers={"Referer": f"{origin}/user/login/"})
        assert answer.status_code == 302, f"{email} cannot log in: {answer.status_code}"
        yield client


def can_log_in(told: dict[str, str]) -> bool:
    """Whether what `invite` told opens the board."""
    with logged_in(told["address"], told["e-mail"], told["password"]) as client:
        return client.get("/api/current-user/whoami").json()["email"] == told["e-mail"]


def invited(hosted: Hosted, name: str) -> dict[str, str]:
    done = hosted.run("invite", name)
    assert done.returncode == 0, done.stderr
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())


def group_of(hosted: Hosted, name: str) -> int:
    running = server(hosted.home, name).running()
    assert running is not None
    return running.pid


def gunicorns(hosted: Hosted) -> list[int]:
    """Processes of this board's Label Studio, by what they were started with."""
    port = f"127.0.0.1:{Place.of(hosted.home).label_studio_port}"
    return [each.pid for each in psutil.process_iter(["cmdline"]) if port in (each.info["cmdline"] or [])]


def secrets_of(hosted: Hosted) -> Sequence[str]:
    values: list[str] = list(json.loads((hosted.home.root / "secrets.json").read_text()).values())
    return [value for value in values if value]


def test_up_a_second_time_does_nothing(hosted: Hosted) -> None:
    before = [group_of(hosted, name) for name in ("label_studio", "gateway")]
    connection = hosted.home.connection()
    assert hosted.up() == connection.origin
    assert [group_of(hosted, name) for name in ("label_studio", "gateway")] == before
    assert hosted.home.connection() == connection


def test_status_tells_what_runs_and_what_there_is(hosted: Hosted) -> None:
    found = hosted.status()
    assert found["is_up"]
    assert found["origin"] == hosted.home.connection().origin
    assert (found["database"], found["num_tasks"], found["num_answers"]) == ("sqlite", 0, 0)
    assert found["label_studio"]["memory_bytes"] > 50e6
    assert hosted.run("status").stdout.startswith("address")


def test_who_is_invited_logs_in_and_is_still_there_after_down_and_up(hosted: Hosted) -> None:
    told = invited(hosted, "Ann of the Test")
    assert can_log_in(told)
    again = hosted.run("invite", "Ann of the Test")
    assert (again.returncode, again.stdout) == (9, "")
    connection = hosted.home.connection()
    assert hosted.run("down").stdout == "the board is down\n"
    assert hosted.run("down").stdout == "nothing ran\n"
    assert not gunicorns(hosted)
    assert not hosted.status()["is_up"]
    hosted.up()
    assert hosted.home.connection() == connection
    assert can_log_in(told)
    assert told["password"] not in "".join(path.read_text() for path in hosted.home.root.glob("*.json"))


def test_another_password_ends_the_old_one_and_takes_in_whom_a_killed_invite_left(hosted: Hosted) -> None:
    before = invited(hosted, "Bob of the Test")
    members = hosted.home.members()
    hosted.home.keep_members(members[:-1])  # as if killed between the account and the roll
    after = before | {"password": hosted.run("password", "Bob of the Test").stdout.split()[-1]}
    assert hosted.home.members() == members
    assert can_log_in(after)
    with pytest.raises(AssertionError, match="cannot log in"):
        can_log_in(before)
    nobody = hosted.run("password", "Nobody")
    assert (nobody.returncode, nobody.stdout) == (9, "")


@pytest.mark.parametrize("name", ["label_studio", "gateway"])
def test_a_server_that_was_killed_comes_back_and_the_other_stays(hosted: Hosted, name: str) -> None:
    other = {"label_studio": "gateway", "gateway": "label_studio"}[name]
    kept, killed = group_of(hosted, other), group_of(hosted, name)
    os.kill(killed, signal.SIGKILL)
    origin = hosted.up()
    assert group_of(hosted, other) == kept
    assert group_of(hosted, name) != killed
    assert httpx.get(f"{origin}/user/login/", trust_env=False).status_code == 200
    assert hosted.status()["is_up"]


def test_up_that_is_killed_while_it_starts_leaves_one_of_each_at_most(hosted: Hosted) -> None:
    connection = hosted.home.connection()
    for tenths in (3, 6, 9, 12, 15, 20, 30):
        hosted.run("down")
        hosted.killed_up(tenths / 10)
    hosted.up()
    assert hosted.home.connection() == connection
    assert len(gunicorns(hosted)) == 2, "gunicorn and its one worker"
    assert hosted.status()["is_up"]


def test_up_that_is_killed_while_tables_are_made_is_gone_on_with(
    live_root: Path, label_studio_environment: Path
) -> None:
    hosted = Hosted(live_root / "broken-off", label_studio_environment)
    for after_s in (2, 6, 14):
        hosted.killed_up(after_s)
    try:
        origin = hosted.up()
        told = invited(hosted, "Ann")
        assert (told["address"], can_log_in(told)) == (origin, True)
        assert len(gunicorns(hosted)) == 2
        assert not (hosted.home.root / "label_studio.making").exists()
    finally:
        down(hosted.home, print)


def test_a_legacy_token_is_refused(hosted: Hosted) -> None:
    connection, kept = hosted.home.connection(), hosted.home.secrets()
    with logged_in(connection.origin, connection.operator, kept.operator_password) as operator:
        legacy = operator.get("/api/current-user/token").json().get("token")
    with LabelStudioSetup(connection.label_studio, kept.personal_token) as setup:
        assert setup.accounts()
    assert legacy, "an account has one, made by Label Studio"
    said = httpx.get(
        f"{connection.label_studio}/api/users", headers={"Authorization": f"Token {legacy}"}, trust_env=False
    )
    assert said.status_code == 401


def test_no_secret_is_seen_by_others(hosted: Hosted) -> None:
    invited(hosted, "Somebody Else")
    found = secrets_of(hosted)
    assert len(found) == 4, "password, token, and the keys of links and webhook"
    assert stat.S_IMODE((hosted.home.root / "secrets.json").stat().st_mode) == 0o600
    lines = [" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])]
    logs = [path for path in hosted.home.root.parent.rglob("*") if path.suffix in (".log", ".pid", ".json", ".lock")]
    texts = [path.read_text(errors="replace") for path in logs if path.name != "secrets.json"]
    assert len(texts) >= 6
    for secret in found:
        assert not any(secret in text for text in [*lines, *texts, repr(hosted.home.secrets())])
    for path in hosted.home.root.glob("run/*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_label_studio_listens_on_loopback_only_and_sees_only_its_own_environment(hosted: Hosted) -> None:
    for pid in (group_of(hosted, "label_studio"), group_of(hosted, "gateway")):
        listening = [each.laddr.ip for each in psutil.Process(pid).net_connections() if each.status == "LISTEN"]
        assert listening == ["127.0.0.1"]
    seen = Path(f"/proc/{group_of(hosted, 'label_studio')}/environ").read_bytes()
    assert b"LIKENESS_" not in seen
    assert hosted.home.secrets().operator_password.encode() not in seen


def test_a_changed_address_restarts_what_it_touches_and_a_taken_one_is_refused(hosted: Hosted) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = hosted.run("up", LIKENESS_BOARD_PORT=port)
    assert refused.returncode == 9
    assert "is taken by another program" in refused.stderr
    moved = hosted.run("up", LIKENESS_BOARD_ORIGIN="https://vote.example.org")
    assert moved.stdout == "https://vote.example.org\n"
    with httpx.Client(base_url=Place.of(hosted.home).gateway, trust_env=False) as client:
        cookies = client.get("/user/login/").headers.get_list("set-cookie")
    assert cookies
    assert all("Secure" in cookie for cookie in cookies)
    assert hosted.up().startswith("http://127.0.0.1:")


def test_a_webhook_wakes_the_gateway(hosted: Hosted) -> None:
    """Through the guard that lets Label Studio call one address."""
    connection, kept = hosted.home.connection(), hosted.home.secrets()
    hosted.home.wake.unlink(missing_ok=True)
    with LabelStudioSetup(connection.label_studio, kept.personal_token) as setup:
        setup.webhook(connection.project, Place.of(hosted.home).gateway, kept.webhook_secret)
        tasks = [{"data": {"prompt": "a person", "refs_html": "", "player": ""}}]
        setup._server.send("POST", f"/api/projects/{connection.project}/import", json=tasks)
    _until(hosted.home.wake.exists)
    assert hosted.status()["last_wake"] is not None


def test_a_team_lives_in_postgresql_and_survives_a_kill(
    board_on_postgresql: HostedBoard, postgresql: Database, label_studio_environment: Path
) -> None:
    folder = board_on_postgresql.home.root.parent
    hosted = Hosted(folder, label_studio_environment, **board_on_postgresql.environment)
    found = hosted.status()
    assert found["database"] == str(postgresql)
    assert not list(hosted.home.root.rglob("*.sqlite3"))
    assert len(gunicorns(hosted)) == 5, "gunicorn and its four workers"
    os.kill(group_of(hosted, "label_studio"), signal.SIGKILL)
    hosted.up()
    assert len(gunicorns(hosted)) == 5
    assert hosted.home.connection() == board_on_postgresql.connection
    lines = [" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])]
    logs = [path.read_text(errors="replace") for path in hosted.home.root.glob("run/*")]
    assert not any(postgresql.password in text for text in [*lines, *logs])


def test_tables_in_postgresql_that_were_broken_off_are_gone_on_with(
    live_root: Path, label_studio_environment: Path, postgresql: Database
) -> None:
    _run_sql(postgresql, "create database broken_off")
    database = str(replace(postgresql, name="broken_off"))
    team = {"LIKENESS_BOARD_DATABASE": database, "LIKENESS_BOARD_DATABASE_PASSWORD": postgresql.password}
    hosted = Hosted(live_root / "broken-off-team", label_studio_environment, **team)
    for after_s in (3, 6, 9, 14):
        hosted.killed_up(after_s)
    try:
        hosted.up()
        told = invited(hosted, "Ann")
        assert can_log_in(told)
        refused = hosted.run("up", LIKENESS_BOARD_DATABASE="sqlite")
        assert refused.returncode == 9
        assert "this board lives in postgresql://" in refused.stderr
    finally:
        down(hosted.home, print)


def test_a_database_that_holds_something_is_refused_and_left_alone(
    live_root: Path, label_studio_environment: Path, postgresql: Database
) -> None:
    _run_sql(postgresql, "create database somebodys")
    theirs = replace(postgresql, name="somebodys")
    _run_sql(theirs, "create table precious (id int)")
    team = {"LIKENESS_BOARD_DATABASE": str(theirs), "LIKENESS_BOARD_DATABASE_PASSWORD": postgresql.password}
    hosted = Hosted(live_root / "not-empty", label_studio_environment, **team)
    for _ in range(2):
        done = hosted.run("up")
        assert done.returncode == 9
        assert "holds 1 tables already" in done.stderr
    _run_sql(theirs, "insert into precious values (1)")


def test_a_wrong_password_of_the_database_is_told_and_not_shown(
    live_root: Path, label_studio_environment: Path, postgresql: Database
) -> None:
    team = {"LIKENESS_BOARD_DATABASE": str(postgresql), "LIKENESS_BOARD_DATABASE_PASSWORD": "hunter-two-and-a-half"}
    hosted = Hosted(live_root / "locked-out", label_studio_environment, **team)
    done = hosted.run("up")
    assert done.returncode == 9
    assert "password authentication failed" in done.stderr
    assert "hunter-two-and-a-half" not in done.stderr + "".join(
        path.read_text(errors="replace") for path in hosted.home.root.glob("run/*")
    )


def test_no_server_outlives_the_tests_that_started_it(tmp_path: Path) -> None:
    """As when the tests themselves are killed."""
    program = f"""
import time
from pathlib import Path
from tests.live.hosted import live_folder
from annotate.hosting.processes import Server
with live_folder() as folder:
    server = Server(folder / "run", "thing")
    server.start(["/bin/sleep", "600"], {{}}, fingerprint="")
    Path({str(tmp_path / "told")!r}).write_text(f"{{server.running().pid}} {{folder}}")
    time.sleep(600)
"""
    told = tmp_path / "told"
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as tests:
        _until(lambda: told.exists() and " " in told.read_text())
        tests.kill()
    pid, folder = told.read_text().split()
    _until(lambda: not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == "zombie")
    _until(lambda: not Path(folder).exists())


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def _run_sql(database: Database, statement: str) -> None:
    address = ["-h", database.host, "-p", str(database.port), "-U", database.user, "-d", database.name]
    environment = os.environ | {"PGPASSWORD": database.password}
    subprocess.run(["psql", "-q", *address, "-c", statement], check=True, env=environment)
