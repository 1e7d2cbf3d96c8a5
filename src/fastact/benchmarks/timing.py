"""Interleaved timing: ours, peer, ours, next peer, … and a ratio from each pair, so that noise favours no side."""

from __future__ import annotations

import statistics
import time
import timeit
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

MIN_ROUNDS = 5


class Contestant(NamedTuple):
    """One way to do the work that is compared.

    Parameters
    ----------
    name : str
        The library.
    statement : str
        The code that is timed, as a user would write it.
    namespace : dict
        What its names mean.
    setup : str, optional
        Code that runs before each sample and is not timed.
    settle : float, optional
        Seconds to wait after a sample, for a library whose idle threads spin for longer than the pause before the next.
    """

    name: str
    statement: str
    namespace: dict[str, Any]
    setup: str = "pass"
    settle: float = 0.0

    def function(self) -> Callable[[], None]:
        """Return the statement as a function without arguments."""
        exec(f"def call():\n    {self.statement}", self.namespace)
        function: Callable[[], None] = self.namespace["call"]
        return function

    def run(self) -> Any:
        """Run setup and statement once and return the value of the statement (None if it is not an expression)."""
        exec(self.setup, self.namespace)
        try:
            code = compile(self.statement, self.name, "eval")
        except SyntaxError:
            code = compile(self.statement, self.name, "exec")
        return eval(code, self.namespace)


class Spread(NamedTuple):
    """Median, quartiles and minimum of a list of numbers."""

    median: float
    low: float
    high: float
    best: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        if len(numbers) == 1:
            only = numbers[0]
            return cls(only, only, only, only)
        low, median, high = statistics.quantiles(numbers, n=4, method="inclusive")
        return cls(median, low, high, min(numbers))


class Measurement(NamedTuple):
    """The time of a call of one contestant, and its ratio to ours."""

    seconds: Spread
    ratio: Spread | None  # None for ours
    rounds: int


class Sampler:
    """Takes samples of one contestant.

    A sample is as many calls as fill ``sample_seconds``, or one. As many before it are not timed, unless a call is
    long: they bring data and code back into the caches. Where several threads are used, a pause before those lets the
    idle threads of the other libraries, which spin for a while, go to sleep; the calls that are not timed then wake
    this library's threads, and give the system the time to put each on a processor of its own.
    """

    WARM_UP = 5e-3  # seconds, after a pause
    LONG = 5e-2  # seconds; such a call warms itself up
    MAX_CALLS = 10**7

    def __init__(self, contestant: Contestant, sample_seconds: float, pause: float) -> None:
        self._timer = timeit.Timer(contestant.statement, contestant.setup, globals=contestant.namespace)
        self._pause = pause
        self.calls = 1
        self._long = False
        self.sample()  # compiles what compiles at the first call
        seconds = self.sample()
        while self.calls * seconds < sample_seconds / 2 and self.calls < self.MAX_CALLS:
            enough = int(sample_seconds / seconds)
            self.calls = min(max(enough, 2 * self.calls), 10 * self.calls)
            seconds = self.sample()
        self._long = self.calls == 1 and seconds > self.LONG

    def sample(self) -> float:
        """Return the seconds of a call, over one sample."""
        if self._pause:
            _spin(self._pause)
        if self._long:
            return self._timer.timeit(1)
        seconds = self._timer.timeit(self.calls)
        while self._pause and seconds < self.WARM_UP:
            seconds += self._timer.timeit(self.calls)
        return self._timer.timeit(self.calls) / self.calls


def _spin(seconds: float) -> None:
    """Wait in a loop: a thread that slept might wake on the processor that another of its own threads holds."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def compare(
    ours: Contestant,
    peers: Sequence[Contestant],
    *,
    rounds: int,
    sample_seconds: float = 1e-3,
    pause: float = 0.0,
    max_seconds: float = float("inf"),
) -> dict[str, Measurement]:
    """Time our way of doing some work beside its peers'.

    Each peer's sample stands beside one of ours, in turn before and after it, and a ratio is made of the two.

    Parameters
    ----------
    ours : Contestant
    peers : list of Contestant
    rounds : int
        Samples of each peer.
    sample_seconds : float, optional
        The minimal length of a sample.
    pause : float, optional
        Seconds to wait before a sample.
    max_seconds : float, optional
        No round begins after this time, except for the first `MIN_ROUNDS`.

    Returns
    -------
    dict of str to Measurement
        Ours first.
    """
    start = time.perf_counter()
    samplers = [Sampler(peer, sample_seconds, pause) for peer in peers]
    our_sampler = Sampler(ours, sample_seconds, pause)
    our_seconds: list[float] = []
    seconds: list[list[float]] = [[] for _ in peers]
    ratios: list[list[float]] = [[] for _ in peers]

    def sample_peer(index: int) -> float:
        sample = samplers[index].sample()
        if pause:
            _spin(peers[index].settle)
        return sample

    done = 0
    while done < rounds and (done < MIN_ROUNDS or time.perf_counter() - start < max_seconds):
        for index in range(len(peers)):
            if done % 2 == 0:
                own = our_sampler.sample()
                other = sample_peer(index)
            else:
                other = sample_peer(index)
                own = our_sampler.sample()
            our_seconds.append(own)
            seconds[index].append(other)
            ratios[index].append(other / own)
        if not peers:
            our_seconds.append(our_sampler.sample())
        done += 1
    result = {ours.name: Measurement(Spread.of(our_seconds), None, done)}
    for index, peer in enumerate(peers):
        result[peer.name] = Measurement(Spread.of(seconds[index]), Spread.of(ratios[index]), done)
    return result
