"""How often a password may be tried."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.gateway.errors import Refused
from annotate.gateway.sessions import Limits, LoginLimit


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def limit(clock: Clock) -> LoginLimit:
    return LoginLimit(Limits(num_by_email=3, num_by_address=5, window_s=60.0), clock=clock)


def test_an_email_is_tried_so_often_from_wherever() -> None:
    tried = limit(Clock())
    for index in range(3):
        tried.attempt(address=f"10.0.0.{index}", email="ann@here")
    with pytest.raises(Refused, match="wait 61 s") as caught:
        tried.attempt(address="10.0.0.9", email=" ANN@here")
    assert (caught.value.status, caught.value.headers) == (429, {"retry-after": "61"})
    tried.attempt(address="10.0.0.9", email="bob@here")


def test_an_address_tries_so_often_whomever() -> None:
    tried = limit(Clock())
    for index in range(5):
        tried.attempt(address="10.0.0.1", email=f"{index}@here")
    with pytest.raises(Refused):
        tried.attempt(address="10.0.0.1", email="ann@here")
    tried.attempt(address="10.0.0.2", email="ann@here")


def test_who_waits_as_told_may_try_again() -> None:
    clock = Clock()
    tried = limit(clock)
    for _ in range(3):
        tried.attempt(address="a", email="ann")
    with pytest.raises(Refused) as caught:
        tried.attempt(address="a", email="ann")
    clock.now += int(caught.value.headers["retry-after"])
    tried.attempt(address="a", email="ann")


def test_a_good_attempt_is_held_against_nobody() -> None:
    tried = limit(Clock())
    for _ in range(50):
        tried.attempt(address="a", email="ann")
        tried.succeeded(address="a", email="ann")


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from("ab"), st.sampled_from("xyz")), max_size=60))
def test_in_no_window_is_an_email_tried_more_often(tries: list[tuple[float, str, str]]) -> None:
    clock = Clock()
    tried, taken = limit(clock), []
    for pause_s, address, email in tries:
        clock.now += pause_s
        try:
            tried.attempt(address=address, email=email)
        except Refused:
            continue
        taken.append((clock.now, email))
    for at, email in taken:
        assert sum(1 for other, other_email in taken if other_email == email and at <= other < at + 60.0) <= 3
