"""Processes and what else lives in them: the import, forks and pools, Python threads by the hundred, other libraries'
OpenMP runtimes, signals, the interpreter's end. Each script runs in a Python of its own and checks every result."""

import ctypes.util
import importlib.util
import os
import re

import numpy as np
import pytest
from fresh import run
from passes import LONG

from fastact import kernels

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="this system lists no process's threads")


def skip_without(*libraries):
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")


# ------------------------------------------------------------------------------------------------------- the import

IMPORT = """
import locale, os, signal, subprocess, sys, threading, warnings
import numpy as np

def listed(folder):
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else None

def state():
    return {
        "threads": (listed("/proc/self/task"), threading.active_count()),
        "open files": listed("/proc/self/fd"),
        "os.environ": dict(os.environ),
        "the C library's environment": subprocess.run(
            [sys.executable, "-S", "-E", "-c", "import os; print(sorted(os.environb.items()))"],
            capture_output=True, check=True).stdout,
        "signal handlers": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "filters of warnings": list(warnings.filters),
        "NumPy's errors": (np.geterr(), np.geterrcall()),
        "subnormals": float(np.float32(1e-38) / np.float32(16)),
        "locale": locale.setlocale(locale.LC_ALL),
        "affinity": os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
        "switch interval": sys.getswitchinterval(),
        "path": list(sys.path),
        "hooks": (sys.excepthook, sys.gettrace(), list(sys.meta_path), threading.excepthook),
    }

before, modules = state(), set(sys.modules)
import fastact
new, after = set(sys.modules) - modules, state()
assert [name for name in before if before[name] != after[name]] == []
print(*sorted(name for name in new if "cython" not in name))
"""


@pytest.mark.skipif(os.name != "posix", reason="the script asks for a POSIX environment")
def test_importing_does_nothing_but_import():
    """13 things of the process before and after: threads, environment, signals, warnings and the like are as they
    were; beside Cython's own and NumPy 1.26's stand-ins for numpy._core, six modules are new once NumPy is there, all
    of them fastact's."""
    new = run(IMPORT).split()
    if np.__version__.startswith("1."):
        new = [name for name in new if not name.startswith("numpy._core")]
    assert new == ["fastact"] + [f"fastact.{n}" for n in ("_openmp", "activations", "kernels", "runtime", "ufuncs")]


def test_import_time():
    """Under 15 ms over NumPy's own import, by -X importtime: the least of at most 20 fresh interpreters."""
    milliseconds = []
    for _ in range(20):
        script = (
            "import subprocess, sys\n"
            "command = [sys.executable, '-X', 'importtime', '-c', 'import numpy; import fastact']\n"
            "print(subprocess.run(command, capture_output=True, text=True, check=True).stderr)"
        )
        milliseconds.append(int(re.search(r"\| +(\d+) \| fastact$", run(script), re.MULTILINE)[1]) / 1000)
        if milliseconds[-1] < 15:
            break
    assert min(milliseconds) < 15


# ------------------------------------------------------------------------------------------------------------ forks

START = """
import os, sys, threading, time, zlib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import multiprocessing
import numpy as np, fastact

fastact.set_num_threads(2)
x = np.random.default_rng(0).normal(0, 3, 600_001).astype("f4")
out = np.empty_like(x)
with fastact.num_threads(1):
    want = fastact.tanh(x)

def right(out=None):
    return fastact.tanh(x, out=out).tobytes() == want.tobytes()

def ended_well(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

def sums(seed):
    "Of four passes over 200,001 numbers of this seed; on how many threads a call may run, and in which process."
    a = np.random.default_rng(seed).normal(0, 3, 200_001)
    y = fastact.sigmoid(a)
    results = y, fastact.tanh(a), fastact.sigmoid_derivative(a), fastact.tanh_backward(a, y)
    return [zlib.crc32(result) for result in results], fastact.get_num_threads(), os.getpid()
"""

FORKS = {
    "os.fork": "child = os.fork()",
    "of C": "import ctypes; child = ctypes.PyDLL(None).fork()",  # as libraries do that know nothing of Python
    "twice": """
child = os.fork()
if child == 0:
    grandchild = os.fork()
    if grandchild:
        os._exit(0 if ended_well(grandchild) else 3)""",
    "in a thread": """
children = []
def fork():
    assert right()
    children.append(os.fork())
    if children[-1] == 0:
        os._exit(0 if right() and fastact.get_num_threads() == 1 else 3)
thread = threading.Thread(target=fork)
thread.start()
thread.join()
child, = children""",
}

FORK = """
assert right()
{fork}
if child == 0:
    good = all(right(out) for _ in range(3)) and fastact.get_num_threads() == 1
    thread = threading.Thread(target=right)
    thread.start(); thread.join()
    fastact.set_num_threads(2)
    os._exit(0 if good and right() else 3)
assert ended_well(child) and right() and fastact.get_num_threads() == 2
"""


@needs_fork
@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_fork_after_threads(fork):
    """4 ways to fork once threads have run: in the child five calls, from two Python threads, are right and on one
    thread, whatever is set; in the parent all is as before."""
    run(START + FORK.format(fork=fork))


@needs_fork
def test_fork_while_python_threads_compute():
    """20 forks while 3 Python threads compute: each child computes and ends."""
    run(START + """
stop = False
def work():
    while not stop:
        right()
threads = [threading.Thread(target=work) for _ in range(3)]
[thread.start() for thread in threads]
good = True
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0 if right() else 3)
    good &= ended_well(child)
stop = True
[thread.join() for thread in threads]
assert good
""")


@needs_fork
@pytest.mark.skipif("libgomp" not in kernels.OPENMP_RUNTIME, reason=f"the build uses {kernels.OPENMP_RUNTIME}")
def test_import_after_a_fork():
    """The first import in a forked child: on one thread where another library had loaded and used the OpenMP runtime,
    whose threads the child then lacks; else on as many as are to be had."""
    script = """
import ctypes, os, sys
{before}
child = os.fork()
if child == 0:
    import numpy as np, fastact
    x = np.linspace(-9, 9, 600_001)
    with fastact.num_threads(2):
        y = fastact.tanh(x)
        os._exit(fastact.get_num_threads() if y.tobytes() == np.concatenate([fastact.tanh(h) for h in np.array_split(
            x, 20)]).tobytes() else 99)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    if not os.path.exists("/proc/self/stat"):
        pytest.skip("this system does not tell that a process was forked")
    used = "ctypes.CDLL({!r}, ctypes.{}).GOMP_parallel(ctypes.CDLL(None).getpid, None, 2, 0)"
    own = run("""
from fastact import kernels
for line in open("/proc/self/maps"):
    start, end = (int(part, 16) for part in line.split()[0].split("-"))
    if start <= kernels.openmp_address() < end:
        print(line.split(maxsplit=5)[5])
""")
    assert run(script.format(before=used.format(own, "RTLD_LOCAL"))) == "1"
    assert run(script.format(before="")) == "2"
    if "libgomp.so" not in own and ctypes.util.find_library("gomp"):  # a wheel brings its own, under another name
        assert run(script.format(before=used.format("libgomp.so.1", "RTLD_LOCAL"))) == "2"
        assert run(script.format(before=used.format("libgomp.so.1", "RTLD_GLOBAL"))) == "1"


POOLS = {
    f"{library}-{method}": pool.format(method=method)
    for library, pool, methods in [
        ("multiprocessing", "multiprocessing.get_context('{method}').Pool(2)", ("fork", "spawn", "forkserver")),
        ("futures", "ProcessPoolExecutor(2, multiprocessing.get_context('{method}'))", ("fork", "spawn", "forkserver")),
    ]
    for method in methods
    if method in ("spawn", *(["fork", "forkserver"] if hasattr(os, "fork") else []))
}

IN_A_POOL = """
if __name__ == "__main__":
    want = [sums(seed)[0] for seed in range(12)]
    with {pool} as pool:
        got = list(pool.map(sums, range(12)))
    assert [result for result, _, _ in got] == want
    assert os.getpid() not in {{process for _, _, process in got}}
    print(*sorted({{threads for _, threads, _ in got}}))
"""


@pytest.mark.parametrize("pool", POOLS)
def test_process_pools(pool):
    """6 kinds of pool of two processes, 48 results each: forked workers on one thread, the others on two."""
    threads = run(START + IN_A_POOL.format(pool=POOLS[pool]))
    assert threads == ("1" if pool.endswith("-fork") else "2")


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_joblib(backend):
    """3 backends of joblib, two workers, 48 results each."""
    skip_without("joblib")
    run(START + f"""
if __name__ == "__main__":
    from joblib import Parallel, delayed
    got = Parallel(2, backend={backend!r})(delayed(sums)(seed) for seed in range(12))
    assert [result for result, _, _ in got] == [sums(seed)[0] for seed in range(12)]
""")


@pytest.mark.parametrize("method", ["spawn", pytest.param("fork", marks=needs_fork)])
def test_numba_in_threads_in_a_process_pool(method):
    """Two processes, three Python threads in each, and in these Numba's parallel loops, which call fastact on two
    threads in object mode: 12 arrays."""
    skip_without("numba")
    run(START + f"""
os.environ["NUMBA_NUM_THREADS"] = "2"
import numba
numba.config.THREADING_LAYER = "workqueue"
lock = threading.Lock()  # this layer may not be entered twice at once

@numba.njit(parallel=True)
def each_row(x, y):
    for i in numba.prange(len(x)):
        with numba.objmode():
            fastact.tanh(x[i], out=y[i])

def rows(seed):
    a = np.random.default_rng(seed).normal(0, 3, (2, 200_001))
    y = np.empty_like(a)
    with lock:
        each_row(a, y)
    with fastact.num_threads(1):
        return y.tobytes() == fastact.tanh(a).tobytes()

def thread_pool(seeds):
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(rows, seeds))

if __name__ == "__main__":
    with ProcessPoolExecutor(2, multiprocessing.get_context("{method}")) as pool:
        got = list(pool.map(thread_pool, [range(6), range(6, 12)]))
    assert got == [[True] * 6] * 2, got
""", timeout=120)  # fmt: skip


# --------------------------------------------------------------------------------------------------- Python threads


def test_64_python_threads():
    """64 at once for 10 s (a minute in the long mode), each on up to two threads; every result is checked, on arrays of
    its own in place and on an array that all share, whole and strided."""
    run(START + f"""
sizes = [3, 1000, 20_000, 150_001, 600_001]
wanted = {{size: want[:size].tobytes() for size in sizes}}
derivative = fastact.sigmoid_derivative(x).tobytes()
end = time.monotonic() + {60 if LONG else 10}
start = threading.Barrier(64)

def work(seed):
    rng, calls = np.random.default_rng(seed), 0
    start.wait()
    while time.monotonic() < end:
        size = sizes[rng.integers(len(sizes))]
        mine = x[:size].copy()
        assert fastact.tanh(mine, out=mine) is mine and mine.tobytes() == wanted[size]
        assert fastact.tanh(x[:size]).tobytes() == wanted[size]
        assert fastact.tanh(x[: size - size % 2 : 2]).tobytes() == want[: size - size % 2 : 2].tobytes()
        if calls % 8 == 0:
            assert fastact.sigmoid_derivative(x).tobytes() == derivative
        calls += 1
    return calls

with ThreadPoolExecutor(64) as pool:
    assert min(pool.map(work, range(64))) > 0
""", timeout=180)


@needs_proc
def test_short_threads_leave_nothing_behind():
    """500 Python threads (5000 in the long mode) that live for one call on two threads, 50 at a time: afterwards the
    process has as many threads as before, and its memory has not grown by 32 MiB in the second half."""
    run(START + f"""
def tasks():
    return len(os.listdir("/proc/self/task"))

def memory():
    with open("/proc/self/statm") as sizes:
        return int(sizes.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def work():
    results.append(right())

assert right()
before, results = tasks(), []
for i in range({100 if LONG else 10}):
    threads = [threading.Thread(target=work) for _ in range(50)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    if i == {50 if LONG else 5}:
        early = memory()
for _ in range(1000):  # OpenMP's threads end by themselves, a little later
    if tasks() <= before:
        break
    time.sleep(0.01)
assert all(results) and len(results) == {5000 if LONG else 500}
assert tasks() <= before, (tasks(), before)
assert memory() - early < 2**25, (memory(), early)
""")


def test_num_threads_in_many_python_threads():
    """16 Python threads, each with numbers of its own, nested, 50 rounds: none sees another's; all is right."""
    run(START + """
start = threading.Barrier(16)
def work(own):
    start.wait()
    for _ in range(50):
        with fastact.num_threads(own):
            assert fastact.get_num_threads() == own
            assert right()
            with fastact.num_threads(own + 1):
                assert fastact.get_num_threads() == own + 1
            assert fastact.get_num_threads() == own
        assert fastact.get_num_threads() == 2
    return True
with ThreadPoolExecutor(16) as pool:
    assert all(pool.map(work, range(1, 17)))
""")


def test_threads_inside_threads():
    """Three levels of thread pools, 4 x 4 x 4 calls, each on two threads."""
    run(START + """
def inner(level):
    if level == 0:
        return right()
    with ThreadPoolExecutor(4) as pool:
        return all(pool.map(inner, [level - 1] * 4))
assert inner(3)
""")


# -------------------------------------------------------------------------------- other libraries' OpenMP runtimes

LIBRARIES = """
import os, threading
os.environ["NUMBA_NUM_THREADS"] = "2"
ready = {}

def start(name):
    ready[name] = globals()["start_" + name]()
    assert ready[name](), name

# each returns a function that works on two threads and says whether every bit of the result is right; integers are
# exact in whatever order they are added up

def start_fastact():
    import fastact
    import numpy as np
    fastact.set_num_threads(2)
    x = np.random.default_rng(0).normal(0, 3, 600_001).astype("f4")
    with fastact.num_threads(1):
        want = fastact.tanh(x), fastact.sigmoid(x), fastact.tanh_backward(x, x)
    def work():
        got = fastact.tanh(x), fastact.sigmoid(x), fastact.tanh_backward(x, x)
        return fastact.get_num_threads() == 2 and all(g.tobytes() == w.tobytes() for g, w in zip(got, want))
    return work

def start_torch():
    import torch
    torch.set_num_threads(2)
    x = torch.arange(-300_000, 300_001, dtype=torch.float64)
    a = torch.arange(300 * 300, dtype=torch.float64).reshape(300, 300) % 7
    want = a.long() @ a.long()
    return lambda: bool((torch.relu(x) == x * (x > 0)).all() and (a @ a == want).all() and x.sum() == 0
                        and torch.get_num_threads() == 2)

def start_scipy():
    import numpy as np, scipy.linalg, scipy.special
    a = np.arange(300 * 300).reshape(300, 300) % 7
    want = a @ a
    x = np.linspace(-9, 9, 10_001)
    expit = scipy.special.expit(x)
    return lambda: bool((scipy.linalg.blas.dgemm(1.0, a, a) == want).all() and (a.astype(float) @ a == want).all()
                        and (scipy.special.expit(x) == expit).all())

def start_numba():
    import numba, numpy as np
    numba.config.THREADING_LAYER = layer
    @numba.njit(parallel=True)
    def total(x):
        s = 0.0
        for i in numba.prange(len(x)):
            s += x[i]
        return s
    x = np.arange(1_000_000.0)
    def work():
        return total(x) == 499_999_500_000 and numba.threading_layer() == layer
    return work

def start_sklearn():
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier
    x = np.random.default_rng(0).normal(0, 1, (1000, 4))
    y = x[:, 1] > 0
    def work():
        model = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=1, max_bins=255).fit(x, y)
        return bool((model.predict(x) == (model.predict_proba(x)[:, 1] > 0.5)).all()
                    and (model.predict(x) == y).mean() > 0.99)
    return work
"""

TOGETHER = """
for name in order:
    start(name)
for _ in range(rounds):
    for work in ready.values():
        assert work()
        assert ready["fastact"]()

others = [work for name, work in ready.items() if name != "fastact"]
results = []
def in_turn(works):
    results.extend(bool(work()) for _ in range(rounds) for work in works)
threads = [threading.Thread(target=in_turn, args=(works,)) for works in (others, [ready["fastact"]] * 10)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert all(results) and len(results) == rounds * (10 + len(others)), results

import fastact
import numpy as np
x = np.linspace(-9, 9, 600_001)
want = fastact.tanh(x).tobytes()
child = os.fork()
if child == 0:
    os._exit(0 if fastact.tanh(x).tobytes() == want else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert all(work() for work in ready.values())
"""


@needs_fork
@pytest.mark.parametrize(
    ("layer", "order"),
    [
        ("omp", "fastact torch scipy numba sklearn"),
        ("workqueue", "sklearn numba scipy torch fastact"),
        ("omp", "numba fastact sklearn torch scipy"),
    ],
)
def test_beside_other_libraries(layer, order):
    """3 orders of import, two of Numba's threading layers: fastact on two threads in turn with PyTorch, SciPy, Numba
    and scikit-learn, three rounds; then from two Python threads at once; then in a forked child, and all again."""
    skip_without(*order.split())
    header = f"layer, order, rounds = {layer!r}, {order.split()}, {30 if LONG else 3}\n"
    run(header + LIBRARIES + TOGETHER, timeout=180)


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_inside_a_parallel_loop(layer):
    """fastact on two threads from within Numba's parallel loop, whose runtime may be the same: 8 rows, 5 times."""
    skip_without("numba")
    run(START + f"""
import numba
numba.config.THREADING_LAYER = "{layer}"

@numba.njit(parallel=True)
def each_row(x, y):
    for i in numba.prange(len(x)):
        with numba.objmode():
            fastact.tanh(x[i], out=y[i])

a = np.random.default_rng(0).normal(0, 3, (8, 200_001))
for _ in range(5):
    y = np.empty_like(a)
    each_row(a, y)
    with fastact.num_threads(1):
        assert y.tobytes() == fastact.tanh(a).tobytes()
    assert right()
""", timeout=120)


# ------------------------------------------------------------------------- signals, the interpreter's end, and others


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("threads", [1, 2])
def test_keyboard_interrupt(threads):
    """Ctrl-C in the midst of a call, 20 times contiguous and 20 strided: it arrives once the call is over, and the
    whole array is written. What came too late, in the sleep after the call, is not counted."""
    run(START + f"""
import signal
fastact.set_num_threads({threads})
sys.setswitchinterval(1000)  # the other thread's turn comes only when the call lets go of the GIL
calls = threading.Semaphore(0)
def interrupt():
    while True:
        calls.acquire()
        os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
in_time = {{1: 0, 2: 0}}
while min(in_time.values()) < 20:
    step = min(in_time, key=in_time.get)
    out.fill(np.nan)
    returned = False
    try:
        calls.release()
        fastact.tanh(x[::step], out=out[::step])
        returned = True
        time.sleep(10)
    except KeyboardInterrupt:
        in_time[step] += not returned
    assert out[::step].tobytes() == want[::step].tobytes(), in_time
""")


def test_exit_while_daemon_threads_compute():
    """The interpreter ends 20 times (200 in the long mode) in the midst of calls of two daemon threads, which run on
    two threads every other time: exit status 0 and not a word."""
    script = START + """
fastact.set_num_threads(int(sys.argv[1]) % 2 + 1)
def work():
    while True:
        fastact.tanh(x)
        fastact.tanh(x[::2])
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
time.sleep(int(sys.argv[1]) % 20 / 1000)
"""
    run(f"""
import subprocess, sys
for i in range({200 if LONG else 20}):
    command = [sys.executable, "-X", "faulthandler", "-c", {script!r}, str(i)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (i, done)
""", timeout=600 if LONG else 120)


@pytest.mark.parametrize("loaded", ["", "import fastact"], ids=["first", "after the main interpreter"])
def test_subinterpreters(loaded):
    """One interpreter within the process, then the main one: fastact works or is an ImportError in each, at least in
    the one that came first."""
    if np.__version__.startswith("1.") and not loaded:
        pytest.skip("NumPy 1.26 is for the main interpreter only, and does not load there after it failed in another")
    script = """
try:
    import _interpreters as interpreters
except ImportError:
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        raise SystemExit
attempt = '''
import warnings
warnings.simplefilter("ignore")
def attempt():
    try:
        import numpy as np
    except (ImportError, RuntimeError):
        return "no NumPy"
    try:
        import fastact
    except ImportError as error:
        return f"ImportError {str(error) != ''}"
    x = np.linspace(-9, 9, 600_001)
    with fastact.num_threads(1):
        want = fastact.tanh(x)
    with fastact.num_threads(2):
        return f"right {fastact.tanh(x).tobytes() == want.tobytes() and (fastact.tanh(x[::2]) == want[::2]).all()}"
print(attempt())
'''
{loaded}
interpreter = interpreters.create()
interpreters.run_string(interpreter, attempt)
interpreters.destroy(interpreter)
exec(attempt)
"""
    lines = run(script.replace("{loaded}", loaded)).splitlines()
    if not lines:
        pytest.skip("this Python has no interpreters within interpreters")
    assert set(lines) <= {"right True", "ImportError True", "no NumPy"} and len(lines) == 2
    first = lines[-1 if loaded else 0]
    if first == "no NumPy":
        pytest.skip("this NumPy is for the main interpreter only")
    assert first == "right True"
