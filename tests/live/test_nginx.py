"""nginx before the gateway lets through and refuses what the gateway alone does: the same contract, and its own."""

import re
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from annotate.board import Answer, Dealing, PairTask
from annotate.gateway import media
from annotate.home import BoardHome
from annotate.hosting.configuration import BoardConfig
from annotate.hosting.invite import invite
from annotate.hosting.nginx import Listener, configuration
from annotate.hosting.up import Place, down, up
from annotate.labelstudio import LabelStudioBoard
from annotate.labelstudio_setup import Invited
from tests.contract.test_gateway_contract import *  # noqa: F403, every test of the contract
from tests.gateway_world import VIDEO, Front, World, free_socket, link, url_of, world
from tests.live.nginx_front import nginx

pytestmark = pytest.mark.live

TASK = PairTask(
    showing_id="showing_tls",
    prompt="a person behind tls",
    references=(),
    video_a="a" * 32 + ".mp4",
    video_b="b" * 32 + ".mp4",
    dealing=Dealing(),
)


@pytest.fixture(scope="module")
def front() -> Front:
    """The contract's own fixture, with nginx in its place."""
    return nginx


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """PEM files of a certificate of our own, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    pem, key = folder / "pem", folder / "key"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subject = ["-subj", "/CN=vote.example.org", "-keyout", str(key), "-out", str(pem)]
    subprocess.run([*made, *subject], check=True, capture_output=True)
    return pem, key


def test_media_are_sent_by_nginx_itself_and_say_what_the_gateways_say(shared: World) -> None:
    ann = shared.browser("ann")
    said = ann.client.get(link(), headers={"Range": "bytes=10-19"})
    assert (said.status_code, said.content) == (206, VIDEO[10:20])
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+"', said.headers["etag"]), "made by nginx of time and size"
    for name, value in media.HEADERS.items():
        assert said.headers.get_list(name) == [value]


def test_a_link_is_no_key_to_another_files_name(shared: World) -> None:
    """The gateway is asked about what nginx serves, and about nothing else that stands in the address."""
    ann = shared.browser("ann")
    name, _, query = link().removeprefix("/likeness/media/").partition("?")
    other = "d" * 32 + ".mp4"
    (shared.home.media / other).write_bytes(b"another's")
    for path in (f"{other}?{query}", f"{name}/../{other}?{query}", f"{other}%3F{query}", f"{other};{name}?{query}"):
        said = ann.raw("GET", f"/likeness/media/{path}")
        assert said.status in (400, 403, 404), path
        assert "another's" not in said.text


def test_nobody_hides_behind_an_address_of_their_own_making(place: World) -> None:
    guesser = place.browser()
    said = []
    for index in range(61):
        guesser.client.headers["X-Forwarded-For"] = f"10.1.2.{index}"
        said.append(guesser.log_in(f"somebody{index}@likeness.local", "1234").status_code)
    assert said == [200] * 60 + [429]


def test_over_tls_browsers_are_told_to_stay_there(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    with world(tmp_path, front=_behind_tls(certificate)) as made:
        origin = made.origin.replace("http://", "https://")
        with httpx.Client(base_url=origin, verify=False, trust_env=False) as client:
            for path in ("/user/login/", "/likeness/static/player.js", "/likeness/player"):
                assert client.get(path).headers["strict-transport-security"].startswith("max-age=")
        plain = httpx.get(f"{made.origin}/user/login/", trust_env=False)
        assert plain.status_code == 400, "plain HTTP to the port of TLS"


def test_what_is_printed_is_taken_by_an_nginx_that_serves_other_things_too(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    pem, key = certificate
    listener = Listener(port=443, name="vote.example.org", certificate=str(pem), key=str(key))
    text = configuration(BoardHome(tmp_path / "board"), gateway="http://127.0.0.1:8090", listener=listener)
    (tmp_path / "likeness.conf").write_text(text)
    whole = f"pid {tmp_path}/pid; events {{}} http {{ access_log off; include {tmp_path}/likeness.conf; }}"
    (tmp_path / "nginx.conf").write_text(whole)
    command = ["nginx", "-t", "-e", str(tmp_path / "log"), "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/sbin:/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


def test_a_browser_votes_behind_tls_with_a_real_label_studio(
    live_root: Path, label_studio_environment: Path, certificate: tuple[Path, Path], chromium: Any
) -> None:
    listening = free_socket()
    origin = url_of(listening).replace("http://", "https://")
    home = BoardHome(live_root / "tls" / "board")
    settings = {"LIKENESS_BOARD_ORIGIN": origin, "LIKENESS_BOARD_PORT": "0"}
    config = BoardConfig.read(settings | {"LIKENESS_LABEL_STUDIO": str(label_studio_environment)})
    try:
        assert up(home, config, print).origin == origin
        told = invite(home, "Ann", is_adjudicator=False, tell=print)
        answers = _vote_over_tls(home, told, origin, listening, certificate, chromium)
        assert [answer.completed_by for answer in answers] == [told.member.user]
    finally:
        down(home, print)


def _vote_over_tls(
    home: BoardHome, told: Invited, origin: str, listening: Any, certificate: tuple[Path, Path], chromium: Any
) -> tuple[Answer, ...]:
    """One pair, voted on by keyboard; every cookie that the browser has is for TLS only."""
    connection = home.connection()
    with (
        LabelStudioBoard(connection.label_studio, home.secrets().personal_token, connection.project) as board,
        nginx(home, Place.of(home).gateway, listening, certificate=certificate),
    ):
        board.publish([TASK])
        context = chromium.new_context(ignore_https_errors=True)
        page = context.new_page()
        page.goto(f"{origin}/")
        page.fill("input[name=email]", told.member.email)
        page.fill("input[name=password]", told.password)
        page.click("button[type=submit]")
        page.wait_for_url("**/data?labeling=1")
        page.get_by_text("a person behind tls").first.wait_for(timeout=60_000)
        page.keyboard.press("1")
        page.keyboard.press("Control+Enter")
        page.get_by_text("No More Tasks").first.wait_for(timeout=60_000)
        assert all(cookie["secure"] for cookie in context.cookies())
        context.close()
        [task] = board.changes().tasks
        return task.answers


def _behind_tls(certificate: tuple[Path, Path]) -> Front:
    def entered(home: BoardHome, gateway: str, listening: Any) -> AbstractContextManager[None]:
        return nginx(home, gateway, listening, certificate=certificate)

    return entered
