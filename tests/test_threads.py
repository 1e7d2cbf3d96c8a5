"""Threads: the same bits for every number of them, from many Python threads; and how many there are."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fresh import run
from passes import F4, PASSES, assert_same_bits, each_dtype, each_pass, points

import fastact
from fastact import kernels, runtime

SIZES = [16383, 16384, 16385, 32769, 1_500_003]  # around a tile, and large


@each_dtype
@each_pass
def test_same_bits(p, dtype, rng):
    """Sizes around a tile and twice the grain, where a second thread comes in, on 1, 2, 3 and 5; in place too."""
    inputs = [np.resize(a, max(SIZES)) for a in points(p, dtype, 300_000, rng)]
    second = 2 * kernels.grain(p.name, np.dtype(dtype).name)
    for size in [*SIZES, second - 1, second, second + 1]:
        arrays = [a[:size] for a in inputs]
        with fastact.num_threads(1):
            want = p(*arrays)
        for threads in (2, 3, 5) if size > 1_000_000 else (2,):
            with fastact.num_threads(threads):
                assert_same_bits(p(*arrays), want, f"{size} elements, {threads} threads")
                fresh = [a.copy() for a in arrays]
                assert_same_bits(p(*fresh, out=fresh[-1]), want, f"{size} elements in place, {threads} threads")


# what a test makes of whole arrays: more than 131,072 elements, twice the lower grain, that are no one block
LAYOUTS = {
    "every second": ((600_000,), lambda a: a[::2]),
    "backwards": ((300_000,), lambda a: a[::-1]),
    "two of three columns": ((70_000, 3), lambda a: a[:, :2]),
    "half the columns": ((700, 900), lambda a: a[:, :450]),
    "transposed": ((700, 900), lambda a: a.T),
    "three axes in another order": ((50, 60, 70), lambda a: a.transpose(1, 0, 2)),
    "every third of the last axis": ((90, 60, 80), lambda a: a[:, :, ::3]),
    "one long row": ((1, 300_001), lambda a: a[:, 1:]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["f2", "bfloat16", "f4", "f8"])
@each_pass
def test_same_bits_row_by_row(p, dtype, layout, rng):
    """Eight layouts, three places for the result, one slope, one a column and one a row, 1 and 3 threads: the bits of
    contiguous copies in short pieces."""
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes", reason="bfloat16 is ml_dtypes'").bfloat16
    shape, view = LAYOUTS[layout]
    with np.errstate(all="ignore"):
        wholes = [np.resize(a, shape).astype(dtype) for a in points(p, F4, 100_003, rng)]
    arrays = [view(a) for a in wholes]
    slopes = [None]
    if p.slope:
        last, first = arrays[0].shape[-1], (arrays[0].shape[0],) + (1,) * (arrays[0].ndim - 1)
        slopes = [0.25, rng.choice(np.array([0, 0.25, 3], dtype), last), rng.choice(np.array([0, 2.5], dtype), first)]
    for slope in slopes:
        flat = [np.ascontiguousarray(a).ravel() for a in arrays]
        if isinstance(slope, np.ndarray):
            flat_slope = np.ascontiguousarray(np.broadcast_to(slope, arrays[0].shape)).ravel()
            want = [p(*(a[i : i + 999] for a in flat), slope=flat_slope[i : i + 999])
                    for i in range(0, flat[0].size, 999)]  # fmt: skip
        else:
            want = [p(*(a[i : i + 999] for a in flat), slope=slope) for i in range(0, flat[0].size, 999)]
        want = np.concatenate(want).tobytes()
        for threads in (1, 3):
            with fastact.num_threads(threads):
                assert p(*arrays, slope=slope).tobytes() == want, threads
                guarded = np.full_like(wholes[0], 7)
                assert p(*arrays, slope=slope, out=view(guarded)).tobytes() == want, threads
                view(guarded)[...] = 7
                assert (guarded == 7).all(), "other elements were written"
                mine = view(wholes[-1].copy())
                assert p(*arrays[:-1], mine, slope=slope, out=mine).tobytes() == want, threads


@each_dtype
@each_pass
def test_streaming_changes_no_bit(p, dtype, rng):
    """Results written past the caches, as those are that none holds: nine lengths, 16 offsets of `out`, on one thread
    and on two; no byte beside them is written."""
    inputs = [np.resize(a, 300_000) for a in points(p, dtype, 100_000, rng)]
    before = kernels.set_cache_size(0)
    try:
        for length in (1, 15, 16, 17, 1023, 1024, 1025, 16_385, 300_000):
            arrays = [a[:length] for a in inputs]
            kernels.set_cache_size(2**40)
            want = p(*arrays)
            kernels.set_cache_size(0)
            for threads in (1, 2):
                with fastact.num_threads(threads):
                    assert_same_bits(p(*arrays), want)
                    for offset in range(16) if length < 300_000 else (0, 1):
                        memory = np.full(length + 40, 7, dtype)
                        out = memory[offset : offset + length]
                        assert p(*arrays, out=out) is out
                        assert_same_bits(out, want)
                        out[...] = 7
                        assert (memory == 7).all()
    finally:
        kernels.set_cache_size(before)


def test_set_num_threads():
    """1, 2, 7 and NumPy's integers are taken; 0, negatives, floats, strings, None refused, and nothing is changed."""
    for n in (1, 2, 7, np.int64(3), np.uint8(2)):
        fastact.set_num_threads(n)
        assert fastact.get_num_threads() == n
    for bad, error in [(0, ValueError), (-1, ValueError), (10**6, ValueError), (10**30, ValueError), (1.5, TypeError),
                       (2.0, TypeError), ("2", TypeError), (None, TypeError)]:  # fmt: skip
        with pytest.raises(error, match=r"\bn\b"):
            fastact.set_num_threads(bad)
        with pytest.raises(error, match=r"\bn\b"), fastact.num_threads(bad):
            pass
        assert fastact.get_num_threads() == 2


def test_num_threads_restores():
    """Nested three deep, left by an exception, and around set_num_threads: what was before comes back."""
    fastact.set_num_threads(4)
    with fastact.num_threads(1):
        assert fastact.get_num_threads() == 1
        with fastact.num_threads(3):
            assert fastact.get_num_threads() == 3
            with pytest.raises(KeyError), fastact.num_threads(2):
                assert fastact.get_num_threads() == 2
                raise KeyError
            assert fastact.get_num_threads() == 3
        assert fastact.get_num_threads() == 1
    assert fastact.get_num_threads() == 4


def test_num_threads_in_one_python_thread():
    """The context manager is for the Python thread that entered it; the process's number is for the others."""
    fastact.set_num_threads(2)
    with fastact.num_threads(1), ThreadPoolExecutor(1) as pool:
        assert pool.submit(fastact.get_num_threads).result() == 2
        assert fastact.get_num_threads() == 1


def test_many_python_threads(rng):
    """8 Python threads, 480 calls each, all passes, arrays of 3 to 600,000: every result is right."""
    fastact.set_num_threads(2)
    work = []
    for p in PASSES:
        for size in (3, 1000, 20_000, 600_000):
            arrays = [np.resize(a, size) for a in points(p, F4, 20_000, rng)]
            work.append((p, arrays, p(*arrays)))

    def all_of_it(seed):
        for i in np.random.default_rng(seed).permutation(len(work) * 10):
            p, arrays, want = work[i % len(work)]
            out = arrays[-1].copy()
            args = [*arrays[:-1], out]
            if p(*args, out=out).tobytes() != want.tobytes():
                return p.name
        return None

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(all_of_it, range(8))) == [None] * 8


LIMITS = """
import os, threading, time
import numpy as np, fastact, threadpoolctl
fastact.set_num_threads(3)
x = np.random.default_rng(0).normal(0, 3, 1_000_000).astype("f4")
want = fastact.tanh(x[:1000])
def threads():  # the fewest in a tenth of a second: one that was joined, of Python or fastact, may be ending yet
    counts = []
    for _ in range(20):
        counts.append(len(os.listdir("/proc/self/task")))
        time.sleep(0.005)
    return min(counts)
def call():
    assert (fastact.tanh(x)[:1000] == want).all()
before = threads()
with threadpoolctl.threadpool_limits(1):
    call()
    print(fastact.get_num_threads(), threads() - before)
    with fastact.num_threads(2):
        print(fastact.get_num_threads())
    other = threading.Thread(target=lambda: print(fastact.get_num_threads()))  # the limit is of one Python thread
    other.start(); other.join()
with threadpoolctl.threadpool_limits(2):
    print(fastact.get_num_threads())
    call()
    print(threads() - before)
call()
print(fastact.get_num_threads(), threads() - before)
with fastact.num_threads(2), threadpoolctl.threadpool_limits(1):
    print(fastact.get_num_threads())
print(*{library["user_api"] for library in threadpoolctl.threadpool_info() if "gomp" in library["filepath"]})
"""


@pytest.mark.skipif("libgomp" not in kernels.OPENMP_RUNTIME, reason=f"the build uses {kernels.OPENMP_RUNTIME}")
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="this system does not list a process's threads")
def test_threadpoolctl():
    """Limits of 1 and 2 below three threads: obeyed, and no thread started beyond them; num_threads(2) inside a limit,
    and a limit inside that: the last word counts."""
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    assert run(LIMITS, OMP_NUM_THREADS="4").split() == ["1", "0", "2", "3", "2", "1", "3", "2", "1", "openmp"]


SHOW = "import fastact; print(fastact.get_num_threads())"


def test_environment():
    """7 settings, each in a fresh Python: FASTACT_NUM_THREADS before OMP_NUM_THREADS before the processors."""
    for environment, threads in [
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "3,2"}, 3),
        ({"FASTACT_NUM_THREADS": "5"}, 5),
        ({"FASTACT_NUM_THREADS": "2", "OMP_NUM_THREADS": "4"}, 2),
        ({"FASTACT_NUM_THREADS": ""}, None),
        ({}, None),
    ]:
        got = int(run(SHOW, **environment))
        if threads is not None:
            assert got == threads, environment
        elif hasattr(os, "sched_getaffinity"):
            assert 1 <= got <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize("bad", ["0", "-1", "two", "1.5"])
def test_environment_refused(bad):
    """FASTACT_NUM_THREADS of 4 kinds that mean nothing: the import fails, the message names the variable and value."""
    env = os.environ | {"FASTACT_NUM_THREADS": bad}
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode != 0
    assert "FASTACT_NUM_THREADS" in done.stderr.splitlines()[-1] and bad in done.stderr.splitlines()[-1]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity mask")
def test_affinity():
    """Held to one processor, a process starts with one thread."""
    script = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " + SHOW
    assert run(script) == "1"


def test_control_group(tmp_path):
    """Version 1 and 2, quota on the process's own group, on one above, on both, on none, on a path that is not there;
    and what the number of threads is then."""
    def quota(membership, **files):
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        root.mkdir()
        (root / "membership").write_text(membership)
        for name, text in files.items():
            path = root / name.replace("__", "/").replace("_0_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return runtime._cgroup_quota(str(root), str(root / "membership"))

    v2 = "0::/a/b\n"
    assert quota(v2) is None
    assert quota(v2, cpu_0_max="max 100000\n") is None
    assert quota(v2, a__b__cpu_0_max="100000 100000\n") == 1.0
    assert quota(v2, a__cpu_0_max="150000 100000\n", a__b__cpu_0_max="max 100000\n") == 1.5
    assert quota(v2, a__cpu_0_max="50000 100000\n", a__b__cpu_0_max="300000 100000\n") == 0.5
    assert quota(v2, cpu_0_max="200000 100000\n") == 2.0
    v1 = "5:memory:/m\n4:cpu,cpuacct:/a\n"
    assert quota(v1, cpu__a__cpu_0_cfs_quota_us="250000\n", cpu__a__cpu_0_cfs_period_us="100000\n") == 2.5
    assert quota(v1, cpu__cpu_0_cfs_quota_us="-1\n", cpu__cpu_0_cfs_period_us="100000\n") is None
    assert runtime._cgroup_quota(str(tmp_path), str(tmp_path / "nothing")) is None


@pytest.mark.parametrize(("quota", "threads"), [(None, 8), (0.2, 1), (1.4, 1), (2.5, 3), (100.0, 8)])
def test_a_quota_bounds_the_threads(quota, threads, monkeypatch):
    """8 processors by affinity; the quota is rounded to the nearest whole thread, at least one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(runtime, "_cgroup_quota", lambda: quota)
    assert runtime._processors() == threads


def progress_during(call, patience):
    """How often another Python thread comes round, until that is 5 times, while `call` runs again and again for at
    most `patience` seconds, if it gets the GIL only when the call lets go."""
    interval = sys.getswitchinterval()
    count = 0
    stop = False

    def other():
        nonlocal count
        while not stop:
            count += 1
            time.sleep(0.0002)

    thread = threading.Thread(target=other)
    thread.start()
    try:
        sys.setswitchinterval(1000)  # nobody is asked to give up the GIL
        time.sleep(0.02)  # what was asked before is over
        before = count
        end = time.monotonic() + patience
        while count < before + 5 and time.monotonic() < end:
            call()
        return count - before
    finally:
        sys.setswitchinterval(interval)
        stop = True
        thread.join()


@each_dtype
@pytest.mark.parametrize("threads", [1, 2])
def test_gil_is_released(dtype, threads):
    """4,000,000 elements, one and two threads, contiguous and strided; the measure sees a call that holds the GIL."""
    x = np.random.default_rng(0).normal(0, 3, 4_000_000).astype(dtype)
    out = np.empty_like(x)
    numbers = list(range(200_000, 0, -1)) * 3
    assert progress_during(lambda: sorted(numbers), patience=0.1) == 0
    with fastact.num_threads(threads):
        assert progress_during(lambda: fastact.tanh(x, out=out), patience=60) >= 5
        assert progress_during(lambda: fastact.tanh(x[::2], out=out[::2]), patience=60) >= 5


SHARE = """
import threading
import numpy as np, fastact
from fastact import kernels

kernels.set_processors(4)
fastact.set_num_threads(3)
x, ended = np.ones(2**22, "f4"), threading.Event()

def long_calls(function):
    while not ended.is_set():
        function(x, out=x)

def seen(threads, wanted):
    "Whether a call would at some time within half a minute have so many of its threads."
    import time
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if kernels.share_of_processors(threads) == wanted:
            return True
    return False

assert kernels.share_of_processors(3) == 3 and kernels.share_of_processors(8) == 8
others = [threading.Thread(target=long_calls, args=(fastact.tanh,)) for _ in range(3)]
others[0].start()
assert seen(3, 2)  # half of four
with fastact.num_threads(3):
    assert {kernels.share_of_processors(3) for _ in range(1000)} == {3}
others[1].start(), others[2].start()
assert seen(3, 1)
ended.set()
for other in others:
    other.join()
assert kernels.share_of_processors(3) == 3
"""


@pytest.mark.skipif(not kernels.HAS_OPENMP, reason="built without OpenMP")
def test_long_calls_in_several_python_threads_share_the_processors():
    run(SHARE)
