"""What is pure about a board's servers, and their processes: real ones, but small."""

import fcntl
import ipaddress
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.errors import BoardDown, BoardRefused
from annotate.home import BoardHome, Connection, Member
from annotate.hosting import install, label_studio
from annotate.hosting.configuration import BoardConfig, Database
from annotate.hosting.invite import _refuse_double
from annotate.hosting.label_studio import LabelStudio, hardened
from annotate.hosting.nginx import Listener, configuration, for_board
from annotate.hosting.processes import Server
from annotate.hosting.up import Place, _placed, alone
from warehouse.errors import BadInput

PYTHON = sys.executable
SLEEP = [PYTHON, "-c", "import time; print('here', flush=True); time.sleep(60)"]
DEAF = [
    PYTHON,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('here', flush=True); time.sleep(60)",
]
PARENT = [
    PYTHON,
    "-c",
    "import os, time\nif os.fork() == 0: print('here', flush=True)\ntime.sleep(60)",
]
TEAM = Database(user="likeness", host="db.example.org", port=5433, name="votes", password="s3cret-of-the-database")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "run", "thing")
    yield made
    made.stop(grace_s=0)


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TOKEN_OF_THE_TEST": "only-in-the-environment"}


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def started(server: Server, command: list[str]) -> int:
    server.start(command, environment(), fingerprint="f")
    until(lambda: "here" in server.log.read_text())
    running = server.running()
    assert running is not None
    return running.pid


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_server_outlives_its_starter_in_a_session_of_its_own_and_is_found_and_ended(server: Server) -> None:
    pid = started(server, SLEEP)
    assert os.getsid(pid) == pid != os.getsid(0)
    assert server.running() == server.running()
    assert server.is_as("f")
    assert not server.is_as("another")
    assert server.stop()
    assert not is_alive(pid)
    assert server.running() is None
    assert not server.stop()


def test_a_server_that_does_not_listen_is_killed(server: Server) -> None:
    pid = started(server, DEAF)
    assert server.stop(grace_s=0.2)
    assert not is_alive(pid)


def test_children_of_a_killed_server_are_found_and_ended(server: Server) -> None:
    pid = started(server, PARENT)
    [child] = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid))
    assert is_alive(child)
    running = server.running()
    assert running is not None, "its port and its database are still in use"
    assert not running.is_led
    assert not server.is_as("f"), "it is to be started anew"
    assert server.stop()
    until(lambda: not is_alive(child))


def test_a_pid_that_is_somebody_elses_by_now_is_never_killed(server: Server) -> None:
    pid = started(server, SLEEP)
    record = server.record.read_text()
    server.stop()
    with subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL, start_new_session=True) as other:
        server.record.write_text(record.replace(str(pid), str(other.pid)))
        assert server.running() is None
        assert not server.stop()
        assert other.poll() is None
        other.kill()


def test_a_record_that_somebody_else_holds_open_and_locked_is_told_and_nobody_is_killed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotate.hosting.launch.PATIENCE_S", 0.2)
    with subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL, start_new_session=True) as other:
        server.folder.mkdir()
        server.record.write_text(f'{{"pid": {other.pid}, "ticks": 1, "since": "", "fingerprint": ""}}')
        with server.record.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(BoardDown, match="held by a process that did not write it"):
                server.stop()
        assert other.poll() is None
        other.kill()


def test_the_same_server_never_runs_twice(server: Server) -> None:
    pid = started(server, SLEEP)
    with pytest.raises(BoardDown, match="thing: could not be started"):
        server.start(SLEEP, environment(), fingerprint="f")
    running = server.running()
    assert running is not None
    assert running.pid == pid


def test_a_log_and_a_record_are_their_owners_only_and_hold_no_secret(server: Server) -> None:
    pid = started(server, SLEEP)
    for path in (server.log, server.record):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "only-in-the-environment" not in path.read_text()
    assert b"only-in-the-environment" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert b"only-in-the-environment" in Path(f"/proc/{pid}/environ").read_bytes()
    assert set(re.findall(rb"([A-Z_]+)=", Path(f"/proc/{pid}/environ").read_bytes())) == set(
        map(str.encode, environment())
    )


def test_what_is_run_once_tells_why_it_failed(server: Server) -> None:
    with pytest.raises(BoardDown, match=r"thing: failed \(3\): no room left"):
        server.run([PYTHON, "-c", "print('no room left'); raise SystemExit(3)"], environment(), timeout_s=60)


def test_what_is_run_once_is_ended_when_it_takes_too_long(server: Server) -> None:
    with pytest.raises(BoardDown, match="not done after"):
        server.run(SLEEP, environment(), timeout_s=0.5)
    assert server.running() is None


def test_what_was_left_half_run_is_ended_before_it_is_run_again(server: Server) -> None:
    pid = started(server, SLEEP)
    server.run([PYTHON, "-c", "print('done')"], environment(), timeout_s=60)
    assert not is_alive(pid)


def test_a_server_that_ends_while_it_is_waited_for_is_told_with_its_last_words(server: Server) -> None:
    server.start([PYTHON, "-c", "print('port is taken')"], environment(), fingerprint="f")
    with pytest.raises(BoardDown, match="thing: ended while it started: port is taken"):
        server.wait_for("http://127.0.0.1:9/health", timeout_s=60)


def test_a_program_that_is_not_there_is_told(server: Server) -> None:
    server.start(["/nowhere/program"], environment(), fingerprint="f")
    with pytest.raises(BoardDown, match="No such file or directory"):
        server.wait_for("http://127.0.0.1:9/health", timeout_s=60)


def test_commands_wait_for_one_another(tmp_path: Path) -> None:
    home, told, order = BoardHome(tmp_path / "board"), threading.Event(), list[str]()

    def second() -> None:
        with alone(home, lambda line: told.set()):
            order.append("second")

    with alone(home, lambda line: None):
        waiting = threading.Thread(target=second)
        waiting.start()
        assert told.wait(20)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_a_board_is_on_loopback_and_sqlite_unless_it_is_told_otherwise() -> None:
    config = BoardConfig.read({})
    assert (config.host, config.port, config.database, config.public_origin) == ("127.0.0.1", 8090, None, None)
    assert config.origin(8090) == "http://127.0.0.1:8090"
    assert config.warnings() == []


def test_a_database_is_read_from_its_url_and_its_password_from_elsewhere() -> None:
    url = "postgresql://likeness@db.example.org:5433/votes"
    config = BoardConfig.read({"LIKENESS_BOARD_DATABASE": url, "PGPASSWORD": TEAM.password})
    assert config.database == TEAM
    assert str(config.database) == url
    assert TEAM.password not in repr(config)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("LIKENESS_BOARD_DATABASE", "postgresql://u:hunter2@h/d", "holds a password"),
        ("LIKENESS_BOARD_DATABASE", "mysql://hunter2@h/d", "give `sqlite` or `postgresql"),
        ("LIKENESS_BOARD_DATABASE", "postgresql://h/d", "give `sqlite` or `postgresql"),
        ("LIKENESS_BOARD_DATABASE", "postgresql://u@h:port/d", "no URL"),
        ("LIKENESS_BOARD_PORT", "http", "a number from 0 to 65535"),
        ("LIKENESS_BOARD_PORT", "70000", "a number from 0 to 65535"),
        ("LIKENESS_BOARD_HOST", "example.org", "an address of this machine"),
        ("LIKENESS_BOARD_ORIGIN", "vote.example.org", "without a path"),
        ("LIKENESS_BOARD_ORIGIN", "https://vote.example.org/board", "without a path"),
        ("LIKENESS_BOARD_ORIGIN", "https://ann:hunter2@vote.example.org", "a user or password"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_with_its_reason_and_without_a_secret(
    name: str, value: str, why: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(why)) as refused:
        BoardConfig.read({name: value})
    assert "hunter2" not in str(refused.value)
    assert name in str(refused.value)


def test_a_board_that_others_reach_without_tls_is_warned_about() -> None:
    assert "without TLS" in BoardConfig.read({"LIKENESS_BOARD_HOST": "0.0.0.0"}).warnings()[0]
    behind = {"LIKENESS_BOARD_HOST": "10.0.0.5", "LIKENESS_BOARD_ORIGIN": "https://vote.example.org"}
    assert BoardConfig.read(behind).warnings() == []


def studio(config: BoardConfig, origin: str = "http://127.0.0.1:8090") -> LabelStudio:
    return LabelStudio(
        environment=Path("/env"),
        data=Path("/data"),
        config=config,
        origin=origin,
        port=8080,
        server=Server(Path("/run"), "label_studio"),
    )


def test_label_studio_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "lib" / "python3.11" / "site-packages" / "label_studio"
    package.mkdir(parents=True)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-ours")
    settings = hardened(BoardConfig(), data=tmp_path, environment=tmp_path, origin="http://127.0.0.1:8090")
    assert "AWS_SECRET_ACCESS_KEY" not in settings
    assert settings["COLLECT_ANALYTICS"] == settings["LATEST_VERSION_CHECK"] == settings["DEBUG"] == "false"
    assert settings["LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK"] == "true"
    assert settings["LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN"] == "false"
    assert (settings["SENTRY_DSN"], settings["FRONTEND_SENTRY_DSN"], settings["TZ"]) == ("", "", "UTC")


def test_cookies_are_secure_where_people_come_by_https_and_only_their_origin_is_trusted() -> None:
    config = BoardConfig.read({"LIKENESS_BOARD_ORIGIN": "https://vote.example.org"})
    settings = hardened(config, data=Path("/d"), environment=Path("/e"), origin=config.origin(8090))
    assert settings["SESSION_COOKIE_SECURE"] == "1"
    assert settings["CORS_ALLOWED_ORIGINS"] == settings["CSRF_TRUSTED_ORIGINS"] == "https://vote.example.org"
    assert "vote.example.org" in settings["ALLOWED_HOSTS"].split(",")


def test_the_databases_password_is_in_the_environment_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "package", lambda folder: folder / "label_studio")
    team = studio(BoardConfig(database=TEAM))
    assert team.settings()["POSTGRE_PASSWORD"] == TEAM.password
    assert TEAM.password not in " ".join(team.command()) + repr(team) + str(TEAM)


def test_a_changed_setting_changes_the_fingerprint_and_a_secret_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "package", lambda folder: folder / "label_studio")
    team = studio(BoardConfig(database=TEAM))
    other = Database(user="likeness", host="db.example.org", port=5433, name="votes", password="another")
    assert studio(BoardConfig(database=other)).fingerprint() == team.fingerprint()
    assert studio(BoardConfig()).fingerprint() != team.fingerprint()
    assert studio(BoardConfig(database=TEAM), "https://vote.example.org").fingerprint() != team.fingerprint()


def is_banned(address: str, hole: str) -> bool:
    found = label_studio._calling_only(hole)
    assert found["USE_DEFAULT_BANNED_SUBNETS"] == "false"
    networks = [ipaddress.ip_network(text) for text in found["USER_ADDITIONAL_BANNED_SUBNETS"].split(",")]
    return any(ipaddress.ip_address(address) in network for network in networks)


@pytest.mark.parametrize("address", ["127.0.0.2", "127.255.255.255", "169.254.169.254", "10.0.0.5", "::1", "fd00::1"])
def test_label_studio_calls_no_inner_address_but_the_gateways(address: str) -> None:
    assert is_banned(address, "127.0.0.1")
    assert not is_banned("127.0.0.1", "127.0.0.1")


@given(inner=st.ip_addresses(network="127.0.0.0/8"), hole=st.ip_addresses(network="127.0.0.0/8"))
def test_the_hole_in_the_guard_is_one_address_wide(inner: ipaddress.IPv4Address, hole: ipaddress.IPv4Address) -> None:
    assert is_banned(str(inner), str(hole)) == (inner != hole)


def test_a_board_does_not_forget_its_votes_by_changing_its_database(tmp_path: Path) -> None:
    home = BoardHome(tmp_path / "board")
    (home.root / "label_studio").mkdir(parents=True)
    Place(label_studio_port=1, gateway_port=2).keep(home)
    with pytest.raises(BoardRefused, match="this board lives in sqlite"):
        _placed(home, BoardConfig(database=TEAM))


def test_a_port_is_kept_while_it_is_free(tmp_path: Path) -> None:
    home, config = BoardHome(tmp_path / "board"), BoardConfig(port=0)
    first = _placed(home, config)
    assert first.label_studio_port != first.gateway_port
    assert _placed(home, config) == first == Place.of(home)


def test_nobody_is_invited_twice() -> None:
    members = (Member(user=2, name="Ann", email="ann@likeness.local"),)
    for name in ("Ann", "ann", "ANN@likeness.local"):
        with pytest.raises(BoardRefused, match="a member already"):
            _refuse_double(name, members)
    _refuse_double("Bob", members)


def test_an_environment_that_is_somebody_elses_is_looked_at_and_never_changed(tmp_path: Path) -> None:
    (tmp_path / "keep").write_text("mine")
    with pytest.raises(BoardRefused, match=r"Label Studio 1\.23\.2 is needed, found none"):
        install.ensure(tmp_path, is_ours=False, tell=print)
    assert [path.name for path in tmp_path.iterdir()] == ["keep"]


def test_an_environment_of_another_version_is_refused_and_one_of_ours_is_taken(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    (packages / "label_studio-1.22.0.dist-info").mkdir(parents=True)
    (packages / "gunicorn").mkdir()
    with pytest.raises(BoardRefused, match=r"found 1\.22\.0"):
        install.ensure(tmp_path, is_ours=False, tell=print)
    (packages / "label_studio-1.22.0.dist-info").rename(packages / "label_studio-1.23.2.dist-info")
    assert install.ensure(tmp_path, is_ours=False, tell=print) == tmp_path


def test_every_package_of_label_studio_has_one_version_and_no_address() -> None:
    lines = [line for line in install.VERSIONS.read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._+-]+", line) for line in lines)
    assert f"label-studio=={install.VERSION}" in lines
    assert {line.split("==")[0].lower() for line in lines} >= {"gunicorn", "psycopg-binary", "setuptools", "wheel"}


def test_nginx_asks_the_gateway_before_it_serves_media(tmp_path: Path) -> None:
    home = BoardHome(tmp_path / "board")
    text = configuration(home, gateway="http://127.0.0.1:8090", listener=Listener(port=8091))
    media = text[text.index("/likeness/media/") : text.index("location = /likeness/player")]
    assert "auth_request /likeness-asks;" in media
    assert f"alias {home.media.resolve()}/$1;" in media
    assert "server 127.0.0.1:8090;" in text
    assert not re.search(r"@[A-Z_]+@", text)
    assert "ssl" not in text


def test_nginx_speaks_tls_where_people_come_by_https(tmp_path: Path) -> None:
    home = BoardHome(tmp_path / "board")
    config = BoardConfig.read({"LIKENESS_BOARD_ORIGIN": "https://vote.example.org"})
    Place(gateway_port=8090).keep(home)
    with pytest.raises(BoardDown):
        for_board(home, config, certificate=None, key=None, is_whole=False)
    home.keep_connection(_connection())
    text = for_board(home, config, certificate=None, key=None, is_whole=False)
    assert "listen 443 ssl;" in text
    assert "ssl_certificate /etc/letsencrypt/live/vote.example.org/fullchain.pem;" in text
    assert text.count("strict-transport-security") == 4
    assert "return 301 https://$host$request_uri;" in text


def _connection() -> Connection:
    return Connection(origin="https://vote.example.org", label_studio="http://127.0.0.1:8080", project=1, operator="o")


def test_nginx_is_not_given_a_path_that_it_would_misread(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="blanks or signs"):
        configuration(BoardHome(tmp_path / "a b; }"), gateway="http://127.0.0.1:1", listener=Listener(port=1))


def test_nginx_without_a_public_origin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="LIKENESS_BOARD_ORIGIN"):
        for_board(BoardHome(tmp_path), BoardConfig(), certificate=None, key=None, is_whole=False)
