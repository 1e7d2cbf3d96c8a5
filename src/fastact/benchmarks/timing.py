"""Interleaved timing: ours, peer, ours, next peer, … and a ratio from each pair, so that noise favours no side."""

import statistics
import time
import timeit
from typing import NamedTuple

LEAST_ROUNDS = 5


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
        Seconds after a sample in which its threads stand in the way of others', where the pause is too short for them.
    """

    name: str
    statement: str
    namespace: dict
    setup: str = "pass"
    settle: float = 0.0

    def function(self):
        """Return the statement as a function without arguments."""
        exec(f"def call():\n    {self.statement}", self.namespace)
        return self.namespace["call"]

    def run(self):
        """Run setup and statement once and return the value of the statement (None for one that is no expression)."""
        exec(self.setup, self.namespace)
        try:
            code = compile(self.statement, self.name, "eval")
        except SyntaxError:
            code = compile(self.statement, self.name, "exec")
        return eval(code, self.namespace)


class Spread(NamedTuple):
    """Median, quartiles and least of a list of numbers."""

    median: float
    low: float
    high: float
    best: float

    @classmethod
    def of(cls, numbers):
        low, median, high = statistics.quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else 3 * numbers
        return cls(median, low, high, min(numbers))


class Timed(NamedTuple):
    """Seconds a call of one contestant, and how many times as long as ours it takes."""

    seconds: Spread
    ratio: Spread | None  # None for ours
    rounds: int


class Clock:
    """Takes samples of one contestant.

    A sample is as many calls as fill ``sample_seconds``, or one. As many before it are not timed, unless a call is
    long: they bring data and code back into the caches. Where threads are at work, a pause before those lets the
    threads of the other libraries, which wait for more work in a loop for a while, go to sleep; the calls that are
    not timed then wake up those of this one, and give the system the time to put each on a processor of its own.
    """

    WARM_UP = 5e-3  # seconds, after a pause
    LONG = 5e-2  # seconds; such a call warms itself up

    def __init__(self, contestant, sample_seconds, pause):
        self._timer = timeit.Timer(contestant.statement, contestant.setup, globals=contestant.namespace)
        self._pause = pause
        self.calls = 1
        self._long = False
        self.sample()  # compiles what compiles at the first call
        while (seconds := self.sample() * self.calls) < sample_seconds / 2 and self.calls < 10**7:
            self.calls = max(2 * self.calls, min(10 * self.calls, int(self.calls * sample_seconds / seconds)))
        self._long = self.calls == 1 and seconds > self.LONG

    def sample(self):
        """Return the seconds of a call, over one sample."""
        if self._pause:
            _wait(self._pause)
        if self._long:
            return self._timer.timeit(1)
        seconds = self._timer.timeit(self.calls)
        while self._pause and seconds < self.WARM_UP:
            seconds += self._timer.timeit(self.calls)
        return self._timer.timeit(self.calls) / self.calls


def _wait(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass  # a thread that slept here would wake on the processor that one of its own team holds


def compare(ours, peers, *, rounds, sample_seconds=1e-3, pause=0.0, most_seconds=float("inf")):
    """Time our way of doing some work beside its peers'.

    Each peer's sample stands beside one of ours, in turn before and after it, and a ratio is made of the two.

    Parameters
    ----------
    ours : Contestant
    peers : list of Contestant
    rounds : int
        Samples of each peer.
    sample_seconds : float, optional
        The least length of a sample.
    pause : float, optional
        Seconds of sleep before a sample.
    most_seconds : float, optional
        No round begins after this time, but for the first `LEAST_ROUNDS`.

    Returns
    -------
    dict of str to Timed
        Ours first.
    """
    start = time.perf_counter()
    clocks = [Clock(contestant, sample_seconds, pause) for contestant in peers]
    our_clock = Clock(ours, sample_seconds, pause)
    our_seconds, seconds, ratios = [], [[] for _ in peers], [[] for _ in peers]
    done = 0

    def sample_of(index):
        sample = clocks[index].sample()
        if pause:
            _wait(peers[index].settle)
        return sample

    while done < rounds and (done < LEAST_ROUNDS or time.perf_counter() - start < most_seconds):
        for index in range(len(clocks)):
            if done % 2 == 0:
                own, other = our_clock.sample(), sample_of(index)
            else:
                other, own = sample_of(index), our_clock.sample()
            our_seconds.append(own)
            seconds[index].append(other)
            ratios[index].append(other / own)
        if not peers:
            our_seconds.append(our_clock.sample())
        done += 1
    result = {ours.name: Timed(Spread.of(our_seconds), None, done)}
    for peer, own, other in zip(peers, seconds, ratios, strict=True):
        result[peer.name] = Timed(Spread.of(own), Spread.of(other), done)
    return result
