"""The table of what annotators may ask for: one spelling of a path, one decision, and nothing beside it."""

import re
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from annotate.gateway.errors import Refused
from annotate.gateway.rules import OPEN, OWN, TABLE, Asked, Deed, canonical, decide
from tests.gateway_attacks import refused, tricks

PROJECT = 7


def asked(method: str, target: str) -> Asked:
    path, _, query = target.encode("latin-1").partition(b"?")
    return decide(method, path, query, project=PROJECT)


@pytest.mark.parametrize(
    ("method", "target", "deed"),
    [
        ("GET", "/", Deed.HOME),
        ("GET", "/projects/7", Deed.HOME),
        ("GET", "/projects/7/data", Deed.HOME),
        ("GET", "/projects/7/data/?labeling=1", Deed.PAGE),
        ("GET", "/user/login/", Deed.LOGIN_PAGE),
        ("POST", "/user/login/?next=/", Deed.LOGIN),
        ("POST", "/api/dm/actions?id=next_task&tabID=1&project=7", Deed.NEXT),
        ("GET", "/api/tasks/12?interaction=labelstream", Deed.TASK),
        ("POST", "/api/tasks/12/annotations/?project=7", Deed.VOTE),
        ("PATCH", "/api/annotations/3?taskID=12", Deed.EDIT),
        ("POST", "/api/tasks/12/annotations/3/drafts", Deed.DRAFT),
        ("GET", "/likeness/media/abc.mp4?u=1", Deed.MEDIA),
    ],
)
def test_what_the_page_asks_for_is_in_the_table(method: str, target: str, deed: Deed) -> None:
    assert asked(method, target).deed is deed


def test_numbers_and_names_of_a_path_are_read() -> None:
    assert asked("POST", "/api/tasks/12/annotations/3/drafts").numbers == {"task": 12, "answer": 3}
    assert asked("GET", "/likeness/media/abc.mp4").name == "abc.mp4"


@pytest.mark.parametrize(("method", "target"), refused(PROJECT))
def test_what_is_not_in_the_table_is_refused_with_its_reason(method: str, target: str) -> None:
    allowed_if_own = (Deed.UNSKIP,)
    try:
        deed = asked(method, target).deed
    except Refused as error:
        assert error.status == 403
        assert error.reason
    else:
        assert deed in allowed_if_own


@pytest.mark.parametrize("path", tricks(PROJECT))
def test_no_odd_spelling_is_forwarded(path: str) -> None:
    try:
        found = asked("GET", path)
    except Refused:
        return
    pytest.fail(f"{path} became {found.path}")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "OPTIONS", "TRACE", "CONNECT", "get", ""])
def test_a_project_is_only_read(method: str) -> None:
    with pytest.raises(Refused):
        asked(method, f"/api/projects/{PROJECT}/")


def test_only_our_project_is_in_the_table() -> None:
    for other in ("8", "77", "07", "-7", "7.0", "1"):
        with pytest.raises(Refused):
            asked("GET", f"/api/projects/{other}")
    assert decide("GET", b"/api/projects/8", b"", project=8).deed is Deed.PROJECT


def test_a_query_key_that_comes_twice_says_nothing() -> None:
    with pytest.raises(Refused):
        asked("POST", "/api/dm/actions?id=next_task&id=delete_tasks")
    assert "u" not in asked("GET", "/likeness/media/a.mp4?u=1&u=2").query


def test_nothing_that_changes_label_studio_is_open_to_all() -> None:
    changing = {rule.deed for rule in TABLE if set(rule.methods) - {"GET", "HEAD"}}
    assert changing & OPEN == {Deed.LOGIN, Deed.WAKE}


def test_the_gateways_own_paths_are_its_own_deeds() -> None:
    assert {rule.deed for rule in TABLE if rule.pattern.startswith("/likeness/")} == OWN


def test_every_deed_has_its_line() -> None:
    assert {rule.deed for rule in TABLE} == set(Deed)


PATHS = st.text(alphabet=st.sampled_from("/.%;\\a7 52fFeEsticproj\t\n\x00é:@~-_"), max_size=40).map(
    lambda text: "/" + text
)


@given(PATHS)
@example("/static/%2e%2e/api")
@example("/static/%252e%252e/api")
def test_one_spelling_has_no_tricks_left_and_stays_as_it_is(path: str) -> None:
    try:
        found = canonical(path.encode("utf-8"))
    except Refused:
        return
    assert found.startswith("/")
    assert "//" not in found
    assert not set(found.split("/")) & {".", ".."}
    assert re.fullmatch(r"[A-Za-z0-9_.~!$&'()*+,=:@/ -]*", found)
    assert canonical(quote(found).encode()) == found


@given(st.sampled_from(["GET", "POST", "PATCH", "DELETE"]), PATHS)
def test_an_allowed_path_lies_below_one_of_the_tables_beginnings(method: str, path: str) -> None:
    try:
        found = decide(method, path.encode("utf-8"), b"", project=PROJECT)
    except Refused:
        return
    beginnings = {rule.pattern.partition("{")[0].rstrip("/") for rule in TABLE if method in rule.methods}
    assert any(found.path.rstrip("/") == start or found.path.startswith(start + "/") for start in beginnings)


@given(st.binary(max_size=40), st.binary(max_size=60))
def test_whatever_bytes_come_there_is_a_decision(path: bytes, query: bytes) -> None:
    try:
        decide("GET", path, query, project=PROJECT)
    except Refused as error:
        assert error.status in (400, 403)
