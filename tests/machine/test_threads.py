"""The fastest number of threads is found, kept and looked for again, by a simulated clock."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.cnn import Net, predict
from machine import threads
from machine.threads import TRIAL, few_threads, on_fastest_threads

NUMBERS = (1, 2, 4)
RACE = len(NUMBERS) * (TRIAL + 1)  # the most steps that a race has
SPEEDS = st.permutations([1.0, 2.0, 3.0]), st.permutations([1.0, 2.0, 3.0])


class Computer:
    """A clock, an optimizer and a number of threads, on which alone depends what a step takes."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self.seconds, self.now, self.threads, self.hooks = seconds, 0.0, 1, []

    def limit(self, *, limits: int) -> None:
        self.threads = limits

    def register_step_post_hook(self, hook):
        self.hooks.append(hook)
        return self

    def remove(self) -> None:
        self.hooks.clear()

    def steps(self, n: int) -> list[int]:
        """Take steps and return with how many threads each was taken."""
        used = []
        for _ in range(n):
            used.append(self.threads)
            self.now += self.seconds[NUMBERS.index(self.threads)]
            for hook in self.hooks:
                hook(self, (), {})
        return used

    def fastest(self) -> int:
        return NUMBERS[self.seconds.index(min(self.seconds))]


@contextmanager
def computer(seconds: Sequence[float]) -> Iterator[Computer]:
    simulated = Computer(seconds)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)
        patch.setattr(threads, "ThreadpoolController", lambda: simulated)
        patch.setattr(threads, "perf_counter", lambda: simulated.now)
        patch.setattr(threads, "_numbers_of_threads", lambda: NUMBERS)
        yield simulated


@given(seconds=SPEEDS[0])
def test_each_epoch_takes_the_fastest_number_of_threads(seconds):
    with computer(seconds) as this:
        for _ in on_fastest_threads(range(2), this):
            assert set(this.steps(RACE + 50)[RACE:]) == {this.fastest()}


@given(before=SPEEDS[0], after=SPEEDS[1])
def test_several_threads_are_raced_anew_when_they_slow_down(before, after):
    with computer(before) as this:
        for _ in on_fastest_threads(range(1), this):
            this.steps(RACE + 50)
            slowed = after[before.index(min(before))] > 1.5 * min(before)
            this.seconds = after
            raced = slowed and this.threads > 1
            wanted = this.fastest() if raced else this.threads
            assert set(this.steps(RACE + 100)[RACE + 20 :]) == {wanted}


@pytest.mark.parametrize("n", ["1", "2"])
def test_the_variable_decides(n, monkeypatch):
    with computer([3, 2, 1]) as this:
        monkeypatch.setenv("OMP_NUM_THREADS", n)
        for _ in on_fastest_threads(range(2), this):
            assert set(this.steps(50)) == {1}  # as it was


def test_no_hook_stays_with_the_optimizer():
    with computer([1, 2, 3]) as this:
        list(on_fastest_threads(range(2), this))
        assert not this.hooks
        with pytest.raises(ValueError, match="in the middle"):
            interrupt(this)
        assert not this.hooks


def test_an_optimizer_of_another_kind_is_left_alone(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert list(on_fastest_threads(range(3), object())) == [0, 1, 2]


def interrupt(this: Computer) -> None:
    for _ in on_fastest_threads(range(2), this):
        raise ValueError("in the middle")


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_thread_unless_the_user_wants_more(two_threads, monkeypatch):
    with few_threads():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with few_threads():
        assert torch.get_num_threads() == 2


def test_a_block_within_a_block_changes_nothing(two_threads):
    with few_threads():
        torch.set_num_threads(2)  # as a race does
        with few_threads():
            assert torch.get_num_threads() == 2


def test_threads_are_restored_after_an_error(two_threads):
    with pytest.raises(ValueError, match="images have shape"):
        predict(Net(), np.zeros((2, 5), np.float32))
    assert torch.get_num_threads() == 2
