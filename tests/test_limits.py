"""At the limits: arrays past 2^31 elements, huge shapes of no elements, memory that runs out, Ctrl-C."""

import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from passes import F4, LONG, PASSES, assert_same_bits, each_pass

import fastact
from fastact import nn

PAST = 2**31 + 5  # elements
FORWARD = [p for p in PASSES if p.kind == "forward"]
GIB = 2**30


def run(script, timeout=120, **keywords):
    """A script of its own in a fresh Python, which must end well."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        check=False, capture_output=True, text=True, timeout=timeout, **keywords)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# Threads

def test_no_thread_to_be_had():
    """A process in which no thread can be started any more, in contiguous and in strided calls: computed on one, where
    OpenMP would end the process; and on two again when they can be had."""
    run("""
    import resource
    from pathlib import Path
    import numpy as np
    import fastact

    def threads():
        return int(Path("/proc/self/status").read_text().split("Threads:")[1].split()[0])

    def computed(x, out, want):
        out[...] = 7
        fastact.tanh(x, out=out)
        return bool((out == want).all()), threads()

    fastact.set_num_threads(2)
    x, out = np.linspace(-3, 3, 1_000_000).astype("f4"), np.empty(1_000_000, "f4")
    want = np.concatenate([fastact.tanh(part) for part in np.array_split(x, 100)])
    before, alone = resource.getrlimit(resource.RLIMIT_AS), threads()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (4 << 20), before[1]))
    assert computed(x, out, want) == (True, alone)
    assert computed(x[::-1], out[::-1], want[::-1]) == (True, alone)
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert computed(x, out, want) == (True, alone + 1)
    """)


# Sizes

def sparse(path, dtype, n, memory, disk):
    """An array in a file that takes room only where it is written."""
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = shutil.disk_usage(path.parent).free
    if available < memory or free < disk:
        pytest.skip(f"{available >> 30} GiB of memory and {free >> 30} GiB of disk free, wanted {memory >> 30} and "
                    f"{disk >> 30}")  # fmt: skip
    mapped = np.memmap(path, dtype, "w+", shape=(n,))
    path.unlink()  # it lives as long as the array
    return mapped


WINDOW = """
import ctypes, mmap, os
import numpy as np
import fastact

SEGMENT = 2**24
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


def mapped(*arguments):
    address = libc.mmap(*arguments)
    assert address != 2**64 - 1, os.strerror(ctypes.get_errno())
    return address


def window(dtype, n, own):
    '''n elements of address space over one segment of memory, again and again; the segments in which the elements
    `own` lie have memory of their own. Nothing is mapped before or behind.'''
    size = n * np.dtype(dtype).itemsize
    count = -(-size // SEGMENT)
    owners = sorted({i * np.dtype(dtype).itemsize // SEGMENT for i in own})
    file = os.memfd_create("window")
    os.ftruncate(file, SEGMENT * (1 + len(owners)))
    base = mapped(None, (count + 2) * SEGMENT, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, -1, 0) + SEGMENT
    for k in range(count):
        place = SEGMENT * (1 + owners.index(k)) if k in owners else 0
        mapped(base + k * SEGMENT, SEGMENT, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | 0x10, file, place)
    return np.frombuffer((ctypes.c_char * size).from_address(base), dtype)
"""


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="wants Linux's memfd_create")
@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh_backward", "leaky_relu"] if LONG else ["relu"])
@pytest.mark.parametrize("dtype", ["f4", "f2"] if LONG else ["f4"])
def test_past_2_31_elements_in_little_memory(name, dtype):
    """2^31 + 5 elements that are the same 16 MiB again and again, but for the ends and the neighbourhoods of 2^31 and
    2^32 bytes and elements: one call of a pass, on two threads and on one; float16 (long mode) goes as one inner loop
    of the ufunc. 200 MiB."""
    run(WINDOW + f"""
n, dtype = {PAST}, np.dtype({dtype!r})
places = [0, n - 1] + [place + d for place in (2**31 // dtype.itemsize, 2**32 // dtype.itemsize, 2**31)
                       for d in (-40_000, -1, 0, 1) if 0 <= place + d < n]
x, out = window(dtype, n, places), window(dtype, n, places)
fastact_pass = fastact.{name}
arrays = [x, x] if {name!r}.endswith("backward") else [x]
segment = 2**24 // dtype.itemsize
rng = np.random.default_rng(0)
for place in [segment, *places]:
    start = place // segment * segment
    x[start : start + segment] = rng.normal(0, 1, min(segment, n - start))
starts = {{place // segment * segment for place in [segment, *places]}}
for threads in (2, 1):
    for start in starts:
        out[start : start + segment] = 7
    with fastact.num_threads(threads):
        assert fastact_pass(*arrays, out=out) is out
    for start in starts:
        part = slice(start, min(start + segment, n))
        want = fastact_pass(*(a[part].copy() for a in arrays))
        assert out[part].tobytes() == want.tobytes(), (threads, start)
""", timeout=600)


@pytest.mark.skipif(not LONG, reason="writes 8 GiB; FASTACT_TEST_LONG=1 runs it")
@pytest.mark.parametrize("threads", [1, 2])
def test_past_2_31_elements_in_place(threads, tmp_path):
    """tanh in place over 2^31 + 5 float32 in a file: 0 but for the ends and the neighbourhoods of 2^31 and 2^32."""
    x = sparse(tmp_path / "x", F4, PAST, 10 * GIB, 9 * GIB)
    places = [0, 1, PAST - 1, *(p + d for p in (2**29, 2**30, 2**31) for d in range(-3, 4))]
    x[places] = 0.5
    with fastact.num_threads(threads):
        assert fastact.tanh(x.view(np.ndarray), out=x.view(np.ndarray)).size == PAST
    assert (x[places] == fastact.tanh(np.float32(0.5))).all()
    step = 2**26
    assert sum(np.count_nonzero(x[i : i + step]) for i in range(0, PAST, step)) == len(places)


@each_pass
def test_past_2_31_elements_by_where(p, tmp_path):
    """2^31 + 2^15 elements made of one, in rows of 2^15; `where` picks five: they are written, nothing else."""
    shape, rows = (2**16 + 1, 2**15), [0, 2**14 - 1, 2**15, 2**16 - 1, 2**16]
    x = np.broadcast_to(np.float32(0.75), shape)
    out = np.ndarray(shape, F4, np.memmap(tmp_path / "out", np.uint8, "w+", shape=(math.prod(shape) * 4,)))
    picked = np.zeros((shape[0], 1), bool)
    picked[rows] = True
    assert p(*[x] * len(p.arguments), out=out, where=picked) is out
    want = p(*[np.float32(0.75)] * len(p.arguments))
    assert (out[rows] == want).all()
    assert not out[[1, 2**14, 2**15 + 1, 2**16 - 2]].any()
    assert os.stat(tmp_path / "out").st_blocks * 512 < 2**22


@each_pass
def test_strides_past_2_32_bytes(p, tmp_path):
    """9 elements, 1 GiB apart in sparse files, forwards and backwards, as inputs and out; float16, float32, float64."""
    for dtype in ("f2", "f4", "f8"):
        dtype = np.dtype(dtype)
        files = [np.memmap(tmp_path / f"{dtype}{i}", dtype, "w+", shape=(8 * GIB // dtype.itemsize + 1,))
                 for i in range(2)]  # fmt: skip
        x, out = (np.asarray(file)[:: GIB // dtype.itemsize] for file in files)
        x[:] = np.linspace(-1, 1, 9)
        want = p(*[x.copy()] * len(p.arguments))
        for step in (1, -1):
            out[:] = 7
            p(*[x[::step]] * len(p.arguments), out=out[::step])
            assert_same_bits(out.copy(), want)
        assert_same_bits(p(*[x] * len(p.arguments)), want)


SHAPES = [(2**40, 0), (0, 2**60), (2**31 + 5, 0, 3), (0, 2**32, 2**20)]


@each_pass
def test_huge_shapes_of_no_elements(p):
    """4 shapes, 3 types, whole, transposed, reversed and broadcast: an empty result of that shape."""
    for shape in SHAPES:
        for dtype in ("f2", "f4", "f8"):
            if dtype != "f2" and 2**60 in shape:
                continue  # more than NumPy makes
            x = np.empty(shape, dtype)
            for a in (x, x.T, x[::-1]):
                arrays = [a] * len(p.arguments)
                assert p(*arrays).shape == a.shape
                assert p(*arrays, out=a) is a
            assert p(*[x] * len(p.arguments), slope=np.ones(shape[-1:]) if shape[-1] < 4 else None).shape == shape
            if p.kind == "backward":
                assert p(x, x.dtype.type(1)).shape == shape


@each_pass
def test_more_elements_than_there_can_be(p):
    """Views of one element as arrays of 2^60 to 2^80: the errors that NumPy's own functions raise, in its words."""
    numpys = np.logaddexp if p.kind == "backward" else np.tanh
    one = np.float32(1)
    calls = [[np.broadcast_to(one, shape)] * len(p.arguments) for shape in [(2**40, 2**20), (2**30, 2**30)]]
    if p.kind == "backward":
        calls.append([np.broadcast_to(one, (2**40, 1)), np.broadcast_to(one, (1, 2**40))])
    for arrays in calls:
        with pytest.raises((MemoryError, ValueError)) as expected:
            numpys(*arrays)
        with pytest.raises(expected.type) as error:
            p(*arrays)
        assert str(error.value) == str(expected.value)


# Memory that runs out

STARVED = """
import gc, resource
import numpy as np
import fastact
from fastact import nn


def size():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def starve(room):
    resource.setrlimit(resource.RLIMIT_AS, (size() + room, resource.RLIM_INFINITY))


def feed():
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def refused(call, *arguments, **keywords):
    try:
        call(*arguments, **keywords)
    except MemoryError:
        return
    raise AssertionError("no MemoryError")
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="wants Linux's /proc")
@each_pass
def test_memory_error(p):
    """With 16 MiB to spare, 6 calls that need 64 (result, cast, copy for overlap, scalars' types): MemoryError, inputs
    and out as they were; `out=` given works; nothing leaks in 20 rounds; afterwards all works."""
    run(STARVED + f"""
p, slope = fastact.{p.name}, {[0.25] if p.slope else []}
x = np.linspace(0, 1, 2**24, dtype="f4")
out, back, before, count = np.full_like(x, 7), np.full_like(x, 7), x.copy(), {len(p.arguments)}
want = p(*[x] * count, *slope)
for round in range(20):
    starve(2**24)
    refused(p, *[x] * count, *slope)
    refused(p, *[x[::-1]] * count, *slope)
    refused(p, *[x.reshape(2**12, -1).T] * count, *slope, dtype="f8")
    refused(p, *[x.view("f2")] * count, *slope)
    refused(p, *[x.view("i2")] * count, *slope)
    refused(p, *[x[:-1]] * count, *slope, out=x[1:])
    if round % 10 == 0:
        p(*[x] * count, *slope, out=out)
        p(*[x[::-1]] * count, *slope, out=back)
    used = size()
    feed()
    first = used if round == 0 else first
assert used - first < 2**20, (first, used)
assert out.tobytes() == want.tobytes() and back.tobytes() == want[::-1].tobytes()
assert x.tobytes() == before.tobytes()
assert p(*[x] * count, *slope).tobytes() == want.tobytes()
""")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="wants Linux's /proc")
@pytest.mark.parametrize("room", [1, 5])
def test_memory_error_in_fit(room):
    """4 and 20 MiB of memory, so that the forward and the backward pass of the first step fail: MemoryError, weights as
    they were, and the next fit with the same optimiser is that of a new one."""
    run(STARVED + f"""
rng = np.random.default_rng(0)
X, y = rng.standard_normal((2048, 512)).astype("f4"), rng.integers(0, 10, 2048)
def make():
    return nn.Sequential([nn.Dense(512, 2048, "relu"), nn.Dense(2048, 10)], seed=0)
options = dict(loss="softmax_cross_entropy", batch_size=2048, shuffle=False)
make().fit(X, y, optimizer=nn.Adam(), **options)  # NumPy's and BLAS's own memory
gc.collect()
model, twin, optimizer = make(), make(), nn.Adam()
weights = [a.value.copy() for a in model.parameters()]
starve({room} * 2**22)
refused(model.fit, X, y, optimizer=optimizer, **options)
feed()
assert all(np.array_equal(a.value, b) for a, b in zip(model.parameters(), weights))
model.fit(X, y, optimizer=optimizer, epochs=2, **options)
twin.fit(X, y, optimizer=nn.Adam(), epochs=2, **options)
assert all(np.array_equal(a.value, b.value) for a, b in zip(model.parameters(), twin.parameters()))
""")


def test_memory_error_in_the_state_of_an_optimiser(monkeypatch):
    """Each of the 8 arrays of Adam's state in turn cannot be made: weights as they were, and the next fit with the same
    optimiser is that of a new one."""
    X, y = np.eye(4), [0, 1, 2, 0]
    options = {"loss": "softmax_cross_entropy", "epochs": 2, "shuffle": False}

    def make():
        return nn.Sequential([nn.Dense(4, 3, "tanh"), nn.Dense(3, 3)], seed=0)

    want = make()
    want.fit(X, y, optimizer=nn.Adam(), **options)
    zeros_like = np.zeros_like
    for failing in range(8):
        model, optimizer, made = make(), nn.Adam(), []

        def starved(array, failing=failing, made=made):
            made.append(array)
            if len(made) == failing + 1:
                raise MemoryError
            return zeros_like(array)

        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(np, "zeros_like", starved)
            model.fit(X, y, optimizer=optimizer, **options)
        assert all(np.array_equal(a.value, b.value)
                   for a, b in zip(model.parameters(), make().parameters(), strict=True))  # fmt: skip
        model.fit(X, y, optimizer=optimizer, **options)
        assert all(np.array_equal(a.value, b.value)
                   for a, b in zip(model.parameters(), want.parameters(), strict=True))  # fmt: skip


# Ctrl-C

INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
import fastact
from fastact import nn


def interrupted(call, delay):
    '''Whether Ctrl-C after so many seconds ended the call.'''
    begun = threading.Event()
    def press():
        begun.wait()
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGINT)
    presser = threading.Thread(target=press)
    presser.start()
    try:
        begun.set()
        call()
        presser.join()
        time.sleep(0.001)
    except KeyboardInterrupt:
        presser.join()
        return True
    return False
"""


@pytest.mark.parametrize("optimizer", ["nn.SGD(0.01, momentum=0.9)", "nn.Adam()"])
@pytest.mark.parametrize("progress", [False, True])
def test_interrupted_fit(progress, optimizer):
    """50 interruptions after 5 to 60 ms: each leaves weights and the optimiser's state of a whole step, those of
    as many steps by hand; `history` has all finished epochs; the handler of SIGINT is the one before."""
    run(INTERRUPTED + f"""
rng = np.random.default_rng(0)
X, y = rng.standard_normal((40, 64)).astype("f4"), rng.integers(0, 10, 40)
layers = lambda: [nn.Dense(64, 512, "tanh"), nn.Dense(512, 256, "relu"), nn.Dense(256, 10)]
model, twin = nn.Sequential(layers(), seed=0), nn.Sequential(layers(), seed=0)
optimizer, by_hand = {optimizer}, {optimizer}
options = dict(loss="softmax_cross_entropy")
handler = signal.getsignal(signal.SIGINT)
for delay in rng.uniform(0.005, 0.06, 50):
    start, model.history = optimizer.steps, nn.History()  # a Ctrl-C may come before `fit` makes a new one
    assert interrupted(lambda: model.fit(X, y, optimizer=optimizer, epochs=10**6, batch_size=8, shuffle=False,
                                         validation_data=(X, y), progress={progress}, **options), delay)
    assert signal.getsignal(signal.SIGINT) is handler
    for step in range(optimizer.steps - start):
        rows = slice(step % 5 * 8, step % 5 * 8 + 8)
        twin.train_on_batch(X[rows], y[rows], optimizer=by_hand, **options)
    arrays = [a.value for a in model.parameters()] + sum(optimizer.state.values(), [])
    wanted = [a.value for a in twin.parameters()] + sum(by_hand.state.values(), [])
    assert all(np.isfinite(a).all() and np.array_equal(a, b) for a, b in zip(arrays, wanted, strict=True))
    finished = (optimizer.steps - start) // 5
    assert finished - 1 <= model.history.epochs <= finished, (finished, model.history)
    assert len({{len(values) for values in model.history.values()}}) < 2
assert optimizer.steps > 5, optimizer.steps
history = model.fit(X, y, optimizer=optimizer, epochs=2, **options)
assert history is model.history and history.epochs == 2
""", stdin=subprocess.DEVNULL)


def test_interrupted_in_a_callback_that_trains():
    """Ctrl-C ends both, and the handler of SIGINT is the one before."""
    run(INTERRUPTED + """
X, y = np.ones((40, 4)), np.arange(40) % 2
class Trains(nn.Callback):
    def on_epoch_end(self, model, epoch, history):
        model.fit(X, y, loss="softmax_cross_entropy", optimizer=model.optimizer, epochs=3)
model = nn.Sequential([nn.Dense(4, 2)], seed=0)
handler = signal.getsignal(signal.SIGINT)
for delay in np.linspace(0.005, 0.05, 20):
    assert interrupted(lambda: model.fit(X, y, loss="softmax_cross_entropy", optimizer="sgd", epochs=10**6,
                                         callbacks=[Trains()]), delay)
    assert signal.getsignal(signal.SIGINT) is handler
""")


def test_interrupted_calls():
    """10 times Ctrl-C in a pass over 2^26 elements, in a gradient check and in predict: the pass is finished first, the
    model is as it was, and the next call is right."""
    run(INTERRUPTED + """
x = np.linspace(-3, 3, 2**26, dtype="f4")
want, out = fastact.tanh(x), np.empty_like(x)
rng = np.random.default_rng(0)
X, y = rng.standard_normal((64, 32)), rng.integers(0, 3, 64)
model = nn.Sequential([nn.Dense(32, 512, "tanh"), nn.Dense(512, 3)], seed=0)
weights = [a.value.copy() for a in model.parameters()]
outputs = model.predict(X)
calls = 0
for delay in np.linspace(0.001, 0.02, 10):
    out[:] = 7
    def passes():
        for _ in range(100):
            fastact.tanh(x, out=out)
    assert interrupted(passes, delay)
    assert out.tobytes() == want.tobytes()
    assert interrupted(lambda: nn.check_gradients(model, X, y, "softmax_cross_entropy"), delay)
    assert interrupted(lambda: [model.predict(X) for _ in range(10**5)], delay)
    assert all(np.array_equal(a.value, b) for a, b in zip(model.parameters(), weights))
    assert np.array_equal(model.predict(X), outputs)
""")


def test_interrupted_by_another_handler():
    """A handler of the program's own is called once for each step with a Ctrl-C, after it."""
    X, y = np.zeros((4, 2)), np.zeros((4, 1))
    seen = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))

    class Pressing(nn.SGD):
        def _update(self, *arrays):
            super()._update(*arrays)
            os.kill(os.getpid(), signal.SIGINT)
            assert len(seen) == self.steps

    try:
        nn.Sequential([nn.Dense(2, 1)], seed=0).fit(X, y, loss="mse", optimizer=Pressing(0.1), epochs=3)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert seen == [signal.SIGINT] * 3
