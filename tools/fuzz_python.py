"""Atheris over the Python entry points; `bash tools/check_memory.sh fuzz-python` builds and runs it.

The input's bytes choose a pass and its arguments (arrays of any type, shape, stride, alignment and byte order over one
piece of memory, so that they overlap; scalars, lists and things that are no numbers; every keyword), or a network and
how it is trained. TypeError and ValueError may come out, from `fit` its FloatingPointError as documented, and nothing
else: no warning, no flag under ``np.errstate(all="raise")``. After an error `out` has kept every byte; a result has the
bits of the same call on plain copies, those agree with ``fastact._reference``, and no byte outside `out` has changed.
"""

import itertools
import sys
import warnings

import atheris
import ml_dtypes
import numpy as np

with atheris.instrument_imports(include=["fastact"]):
    import fastact
    from fastact import _reference, _ulp, nn

PASSES = _reference.__all__
MEMORY = 8192
LONG = 300_000  # elements: enough for threads
FLOATS = ["f4", "f8", "f2", ml_dtypes.bfloat16]
OTHERS = ["?", "b", "B", "h", "H", "i", "I", "q", "Q", "g", "c8", "O", "S3", "U2", "m8[s]", "M8[D]", "V4",
          ml_dtypes.float8_e5m2]  # fmt: skip
ULP = {"f4": 2, "f8": 8}  # the kernels' bounds; float64: with the reference's own errors


class Subclass(np.ndarray):
    pass


class Foreign:
    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        return ufunc.__name__


class Interface:
    def __array__(self, dtype=None, copy=None):
        return np.array([0.5, -0.5], dtype)


STRANGE = [
    None, True, False, -1, 0, 1, 2, 3, 1.5, -0.25, np.nan, np.inf, 1e39, 1e-46, 2**70, 10**400, 1j, "relu", "f8", b"x",
    [], [0.5, -1.0], [[1.0], [2.0, 3.0]], {}, (), (1, 2), object(), Foreign(), Interface(), np.float32(2), np.float32,
    np.float16(3), ml_dtypes.bfloat16(0.5), np.int64(3), np.array(2), np.array([0.5, np.nan]), np.array([], "f4"),
    np.datetime64("2020"), np.sin,
]  # fmt: skip


class Finding(AssertionError):
    pass


def strange(data):
    return data.PickValueInList(STRANGE)


def often(data, usual, *others):
    """`usual` in three of four cases, else what one of the others makes."""
    return usual if data.ConsumeIntInRange(0, 3) < 3 else data.PickValueInList(list(others))(data)


# ------------------------------------------------------------------------------------------------------------- arrays

def places(array):
    """The distance in bytes of every element from the first."""
    steps = [np.arange(n) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    return np.array([sum(place) for place in itertools.product(*steps)])


def view(data, memory, shape):
    """An array somewhere in `memory`: its type, place, strides and flags by the input."""
    dtype = np.dtype(data.PickValueInList(FLOATS if data.ConsumeIntInRange(0, 7) else OTHERS))
    if dtype.kind in "OSUmMV" and dtype.name != "bfloat16":
        return np.zeros(shape, dtype)
    if dtype.kind not in "V" and not data.ConsumeIntInRange(0, 5):
        dtype = dtype.newbyteorder()
    strides, size = [], dtype.itemsize
    for n in reversed(shape):
        strides.insert(0, often(data, size, lambda data: data.ConsumeIntInRange(-20, 20) * dtype.itemsize,
                                lambda data: data.ConsumeIntInRange(-40, 40), lambda data: 0))  # fmt: skip
        size *= n
    first = sum(min(0, (n - 1) * stride) for n, stride in zip(shape, strides, strict=True)) if 0 not in shape else 0
    last = sum(max(0, (n - 1) * stride) for n, stride in zip(shape, strides, strict=True)) if 0 not in shape else 0
    room = len(memory) - (last - first) - dtype.itemsize
    if room < 0:
        return np.zeros(shape, dtype)
    offset = min(room, data.ConsumeIntInRange(0, 64) * often(data, dtype.itemsize, lambda data: 1)) - first
    array = np.ndarray(shape, dtype, memory, offset, strides)
    return often(data, array, lambda data: array.view(Subclass), lambda data: np.ma.masked_array(array),
                 lambda data: read_only(array))  # fmt: skip


def read_only(array):
    twin = array[...]
    twin.flags.writeable = False
    return twin


def fill(data):
    """Bytes that are numbers of every size in whatever type they are read."""
    seed = np.random.default_rng(data.ConsumeUInt(4))
    dtype = data.PickValueInList(["f4", "f8", "f2", "u1"])
    count = MEMORY // np.dtype(dtype).itemsize
    if dtype == "u1" or data.ConsumeBool():
        memory = seed.integers(256, size=MEMORY, dtype="u1")
    else:
        memory = seed.normal(0, 4, count).astype(dtype).view("u1")
    return bytearray(memory.tobytes())


def plain(value):
    """A copy in C order, aligned, in native byte order, of no subclass; anything but an array as it is."""
    if not isinstance(value, np.ndarray):
        return value
    copy = np.array(np.ma.getdata(value), dtype=value.dtype.newbyteorder("="), order="C", subok=False)
    return np.ma.masked_array(copy, np.ma.getmask(value)) if isinstance(value, np.ma.MaskedArray) else copy


# ----------------------------------------------------------------------------------------------------------- a pass

def shapes(data):
    shape = tuple(data.ConsumeIntInRange(0, 12) for _ in range(data.ConsumeIntInRange(0, 3)))
    if not data.ConsumeIntInRange(0, 3):
        shape = (data.ConsumeIntInRange(0, 700),)
    return shape


def others_shape(data, shape):
    """The shape itself, one that broadcasts with it, or any."""
    return often(data, shape, lambda data: shape[1:], lambda data: (1, *shape[1:]), shapes)


def one_pass(data):
    name = data.PickValueInList(PASSES)
    memory = fill(data)
    shape = shapes(data)
    inputs = [often(data, view(data, memory, others_shape(data, shape)), strange)]
    if name.endswith("_backward"):
        inputs.append(often(data, view(data, memory, others_shape(data, shape)), strange))
    options = {}
    if name.startswith("leaky") and data.ConsumeBool():
        inputs.append(often(data, data.ConsumeRegularFloat(), strange,
                            lambda data: view(data, memory, others_shape(data, shape))))  # fmt: skip
    if data.ConsumeBool():
        options["out"] = often(data, view(data, memory, shape), lambda data: data.PickValueInList(inputs), strange,
                               lambda data: (view(data, memory, shape),))  # fmt: skip
    for option, values in (
        ("where", [True, False, np.True_, [True, False], np.arange(12) % 3 == 0]),
        ("dtype", ["f2", "f4", "f8", "g", "i4", ml_dtypes.bfloat16]),
        ("casting", ["no", "equiv", "safe", "same_kind", "unsafe"]),
        ("order", ["K", "C", "F", "A"]),
        ("subok", [True, False]),
    ):
        if data.ConsumeIntInRange(0, 7) == 7:
            options[option] = often(data, data.PickValueInList(values), strange)
    check(getattr(fastact, name), inputs, options, memory)


def check(function, inputs, options, memory):
    copies = [plain(value) for value in inputs]
    out = options.get("out")
    out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
    before = bytes(memory)
    want_out = plain(out)
    held = out.tobytes() if isinstance(out, np.ndarray) else None
    try:
        with np.errstate(all="raise"):
            got = function(*inputs, **options)
    except (TypeError, ValueError):
        if bytes(memory) != before or (held is not None and out.tobytes() != held):
            raise Finding("an error, and memory was written") from None
        return
    if not isinstance(got, (np.ndarray, np.generic)):
        return
    where = options.get("where", True)
    if isinstance(out, np.ndarray):
        if got is not out:
            raise Finding("the result is not out")
        if not out.flags.writeable:
            raise Finding("a read-only out was written")
        unwritten(out, memory, before)
        others = {name: value for name, value in options.items() if name not in ("out", "order")}
        if out.dtype == object or any(isinstance(value, np.ma.MaskedArray) for value in (out, *inputs)):
            return  # boxes of their own; numpy.ma's own rules for the masks
        want = function(*copies, out=want_out, **others)
        span = np.sort(places(out))
        if span.size > 1 and np.diff(span).min() < out.dtype.itemsize:
            return  # elements of out over each other: any may come last
    elif bytes(memory) != before:
        raise Finding("an input was written")
    else:
        want = function(*copies, **options)
    if isinstance(got, np.ma.MaskedArray):
        return
    if got.shape != want.shape or got.dtype.newbyteorder("=") != want.dtype:
        raise Finding(f"got {got.dtype}{got.shape}, plain copies {want.dtype}{want.shape}")
    # over an input NumPy works on a copy of out, cast to the type computed in and back where nothing is chosen, too
    copied = isinstance(out, np.ndarray) and any(
        np.may_share_memory(out, value) for value in inputs if isinstance(value, np.ndarray))
    chosen = np.broadcast_to(np.asarray(where, bool) if out is None or copied else True, got.shape)
    kind = "f8" if want.dtype.char == "g" else want.dtype  # a long double has bytes that are no bits of it
    same = np.asarray(got)[chosen].astype(kind), np.asarray(want)[chosen].astype(kind)
    if same[0].tobytes() != same[1].tobytes():
        raise Finding(f"other bits than on plain copies: {same}")
    if not options.keys() - {"out"}:
        as_referred(function.__name__, copies, np.asarray(want))


def unwritten(out, memory, before):
    """Not one byte of memory has changed but those of out's elements."""
    if out.base is None or not out.size:
        return
    start = out.__array_interface__["data"][0] - np.frombuffer(memory, "u1").__array_interface__["data"][0]
    if not 0 <= start < len(memory):
        return
    changed = np.frombuffer(memory, "u1") != np.frombuffer(before, "u1")
    for byte in range(out.dtype.itemsize):
        changed[start + places(out) + byte] = False
    if changed.any():
        raise Finding(f"bytes {np.flatnonzero(changed)} outside out were written")


def as_referred(name, inputs, got):
    """float32 and float64 within ULP of the reference, bfloat16 and float16 as float32 rounds to them."""
    if got.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        return
    if name.startswith("leaky_relu") and len(inputs) == (2 if name.endswith("backward") else 1):
        inputs = [*inputs, np.array(0.01, got.dtype)]
    arrays = [value for value in inputs if isinstance(value, np.ndarray)]
    if len(arrays) != len(inputs) or any(a.dtype != got.dtype for a in arrays):
        return
    arrays = [np.broadcast_to(a, got.shape) for a in arrays]
    if got.dtype.itemsize == 2:
        want = getattr(fastact, name)(*(a.astype("f4") for a in arrays)).astype(got.dtype)
        if not np.array_equal(got.astype("f4"), want.astype("f4"), equal_nan=True):
            raise Finding(f"{name}: not the float32 result, rounded")
        return
    usual = np.broadcast_to(True, got.shape)
    for a in arrays:
        usual = usual & ~(np.abs(a) > 1e100)
    want = np.asarray(getattr(_reference, name)(*arrays))[usual]
    worst, where = _ulp.largest(got[usual], _ulp.exact_from_wider(want, got.dtype)) if want.size else (0, "")
    if not worst < ULP[got.dtype.str[1:]]:
        raise Finding(f"{name}: {where}")


def long_pass(data):
    """On threads: the bits of the same in short pieces."""
    name = data.PickValueInList(["sigmoid", "tanh", "sigmoid_derivative", "tanh_derivative"])
    x = np.random.default_rng(data.ConsumeUInt(2)).normal(0, 5, LONG).astype(data.PickValueInList(["f4", "f8"]))
    function = getattr(fastact, name)
    want = np.concatenate([function(piece) for piece in np.array_split(x, 30)])
    with fastact.num_threads(data.ConsumeIntInRange(1, 3)):
        got = function(x, out=often(data, x, lambda data: None))
    if got.tobytes() != want.tobytes():
        raise Finding(f"{name}: threads change bits")


# ------------------------------------------------------------------------------------------------ threads and networks

def threads(data):
    before = fastact.get_num_threads()
    value = strange(data)
    try:
        with fastact.num_threads(value):
            if fastact.get_num_threads() != value:
                raise Finding(f"{value!r} threads asked for, {fastact.get_num_threads()} set")
            fastact.set_num_threads(strange(data))
    finally:
        fastact.set_num_threads(before)


def network(data):
    def features():
        return often(data, data.ConsumeIntInRange(1, 5), strange)

    activations = [None, "sigmoid", "tanh", "relu", "leaky_relu"]
    inputs = width = features()
    layers = []
    for _ in range(data.ConsumeIntInRange(0, 3)):
        before, width = width, features()
        activation, slope = often(data, data.PickValueInList(activations), strange), often(data, 0.01, strange)
        init = often(data, None, strange, lambda data: "he_normal")
        dtype = often(data, "f4", lambda data: "f8", strange)
        layers.append(nn.Dense(before, width, activation, slope, init, dtype))
    model = nn.Sequential(often(data, layers, strange), often(data, 0, strange))
    rows = data.ConsumeIntInRange(0, 9)
    with np.errstate(all="ignore"):
        memory = fill(data)
    kept = bytes(memory)
    X = often(data, view(data, memory, (rows, inputs)), strange)
    loss = often(data, data.PickValueInList(["mse", "softmax_cross_entropy"]), strange)
    target = (rows,) if loss == "softmax_cross_entropy" else (rows, width)
    y = often(data, view(data, memory, target), strange, lambda data: np.arange(rows) % width)
    optimizer = often(
        data, data.PickValueInList(["sgd", "adam"]), strange,
        lambda data: nn.SGD(strange(data), strange(data)), lambda data: nn.Adam(strange(data)))  # fmt: skip
    options = dict(
        epochs=often(data, 2, small), batch_size=often(data, 4, strange), shuffle=data.ConsumeBool(),
        validation_data=often(data, None, strange, lambda data: (X, y)))  # fmt: skip
    try:
        model.fit(X, y, loss=loss, optimizer=optimizer, **options)
        model.evaluate(X, y)
        model.predict(X)
    except FloatingPointError as error:
        if "epoch" not in str(error):
            raise
    finally:
        if bytes(memory) != kept:
            raise Finding("training wrote into its data")


def small(data):
    """A strange number of epochs that does not train for hours."""
    value = strange(data)
    return 1 if isinstance(value, int) and value > 3 else value


# ------------------------------------------------------------------------------------------------------------ one input

def one_input(octets):
    data = atheris.FuzzedDataProvider(octets)
    kind = data.ConsumeIntInRange(0, 63)
    run = long_pass if kind == 63 else threads if kind > 60 else network if kind > 45 else one_pass
    with warnings.catch_warnings(), np.errstate(all="raise" if run is network else "ignore"):
        warnings.simplefilter("error")
        # NumPy's own advice, and its cast of a complex out that lies over an input (see `copied`)
        warnings.filterwarnings("ignore", "'where' used without 'out'")
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        try:
            run(data)
        except (TypeError, ValueError) as error:
            if run is one_pass or isinstance(error, Warning):  # one_pass has caught its own
                raise


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
