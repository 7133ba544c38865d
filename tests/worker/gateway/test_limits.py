"""How much one token may ask, by a clock of the test's own."""

import pytest

from worker.gateway.limits import Rates, Slots
from worker.gateway.problems import ProblemError


def spent(rates: Rates, token: str) -> bool:
    try:
        rates.spend(token)
    except ProblemError as error:
        assert error.status == 429
        return False
    return True


def test_a_token_has_a_quarter_of_a_minute_at_once_and_then_the_steady_rate() -> None:
    time = [0.0]
    rates = Rates(120, clock=lambda: time[0])
    assert [spent(rates, "a") for _ in range(40)].count(True) == 30
    assert spent(rates, "b"), "another token has its own"
    time[0] += 5.0
    assert [spent(rates, "a") for _ in range(40)].count(True) == 10
    time[0] += 3600.0
    assert [spent(rates, "a") for _ in range(40)].count(True) == 30


def test_a_minute_of_asking_all_the_time_is_no_more_than_the_rate_and_the_burst() -> None:
    time = [0.0]
    rates = Rates(60, clock=lambda: time[0])
    answered = 0
    for _ in range(6000):
        answered += spent(rates, "a")
        time[0] += 0.01
    assert 74 <= answered <= 76


def test_who_waits_as_long_as_is_said_gets_through() -> None:
    time = [0.0]
    rates = Rates(6, clock=lambda: time[0])
    while spent(rates, "a"):
        pass
    with pytest.raises(ProblemError) as caught:
        rates.spend("a")
    time[0] += float(caught.value.headers["Retry-After"])
    assert spent(rates, "a")


def test_one_token_leaves_places_for_others_and_gives_its_own_back() -> None:
    slots = Slots(4)
    with slots.taken("a"), slots.taken("a"):
        with pytest.raises(ProblemError) as caught, slots.taken("a"):
            raise AssertionError
        assert caught.value.status == 503
        assert "Retry-After" in caught.value.headers
        with slots.taken("b"), slots.taken("b"), pytest.raises(ProblemError), slots.taken("c"):
            raise AssertionError
        with slots.taken("c"):
            pass
    with slots.taken("a"), slots.taken("a"):
        pass


def test_the_end_of_the_last_upload_is_noticed() -> None:
    shown: list[str] = []
    slots = Slots(4, none_left=lambda: shown.append("none"))
    with slots.taken("a"):
        with pytest.raises(KeyError), slots.taken("b"):
            raise KeyError
        assert shown == []
    assert shown == ["none"]
