"""Buffers of every kind: a result depends on the element alone, only `out` is written, memory may overlap."""

import tracemalloc

import numpy as np
import pytest
from passes import F4, F8, LONG, PASSES, assert_same_bits, each_dtype, each_pass, points

import fastact
from fastact._ulp import exact_from_wider, largest

LENGTHS = range(131)
OFFSETS = range(18)
STRIDES = (1, 2, 3, -1, -2, 0)
OVERLAPS = 5_000 if LONG else 250  # cases for every pass and type: 24 times as many altogether


def data(p, dtype, n, rng):
    """n elements for each input of a pass, special values among them."""
    return [rng.permutation(np.resize(a, n)) for a in points(p, dtype, 3 * n, rng)]


def view(a, offset, stride, length):
    """`length` elements of `a`, the first (in memory) at `offset`."""
    if stride == 0:
        return np.broadcast_to(a[offset], length)
    run = a[offset : offset + abs(stride) * length : abs(stride)][:length]
    return run[::-1] if stride < 0 else run


@each_dtype
@each_pass
def test_lengths_offsets_strides(p, dtype, rng):
    """131 lengths x 18 offsets x 6 strides for the input, with others for `out`: the bits of the contiguous result.

    14,148 calls that allocate and as many into a buffer whose every other byte must stay.
    """
    size = 18 + 3 * 131
    inputs = data(p, dtype, size, rng)
    slopes = [None]
    if p.slope:
        slopes = [0.25, rng.choice(np.array([0, 0.25, 3], dtype), size)]
    wholes = [p(*inputs, slope=slope) for slope in slopes]
    buffer = np.empty(size, dtype)
    guard = rng.integers(256, size=buffer.nbytes, dtype=np.uint8)
    case = 0
    for length in LENGTHS:
        for offset in OFFSETS:
            for stride in STRIDES:
                case += 1
                which = case % len(slopes)
                slope, whole = slopes[which], wholes[which]
                if isinstance(slope, np.ndarray):
                    slope = view(slope, offset, stride, length)
                arrays = [view(a, offset, stride, length) for a in inputs]
                want = view(whole, offset, stride, length)
                got = p(*arrays, slope=slope)
                assert got.tobytes() == want.tobytes(), (length, offset, stride)
                buffer.view(np.uint8)[:] = guard
                out = view(buffer, (offset * 7 + length) % 18, STRIDES[case // 6 % 5], length)
                expected = buffer.copy()
                view(expected, (offset * 7 + length) % 18, STRIDES[case // 6 % 5], length)[...] = want
                assert p(*arrays, slope=slope, out=out) is out
                assert buffer.tobytes() == expected.tobytes(), (length, offset, stride)


@each_dtype
@each_pass
def test_unaligned_and_byte_swapped(p, dtype, rng):
    """Lengths 0-70 at every byte offset of an element, inputs and `out`; swapped inputs and `out`; the same bits."""
    inputs = data(p, dtype, 70, rng)
    whole = p(*inputs)
    for length in range(71):
        want = whole[:length]
        for shift in range(1, dtype.itemsize):
            arrays = []
            for a in inputs:
                raw = np.zeros(a.nbytes + dtype.itemsize, np.uint8)
                raw[shift : shift + a.nbytes] = a.view(np.uint8)
                arrays.append(raw[shift : shift + length * dtype.itemsize].view(dtype))
            assert p(*arrays).tobytes() == want.tobytes()
            raw = np.full((length + 2) * dtype.itemsize, 0xA5, np.uint8)
            out = raw[shift : shift + length * dtype.itemsize].view(dtype)
            assert p(*arrays, out=out) is out
            assert out.tobytes() == want.tobytes()
            assert (raw[:shift] == 0xA5).all() and (raw[shift + length * dtype.itemsize :] == 0xA5).all()
        swapped = dtype.newbyteorder()
        arrays = [a[:length].astype(swapped) for a in inputs]
        got = p(*arrays)
        assert got.dtype == dtype and got.tobytes() == want.tobytes()
        out = np.empty(length, swapped)
        assert p(*arrays, out=out) is out
        assert out.astype(dtype).tobytes() == want.tobytes()


SHAPES = [(), (1,), (0,), (0, 5), (3, 0, 2), (1, 1, 1), (7, 5), (2, 3, 4), (129, 3), (1, 130)]


@each_dtype
@each_pass
def test_shapes_and_orders(p, dtype, rng):
    """10 shapes in C and Fortran order, transposed, reversed, every second, and mixed: values, order and shape."""
    for shape in SHAPES:
        inputs = [a.reshape(shape) for a in data(p, dtype, int(np.prod(shape)), rng)]
        want = np.array(p(*(a.ravel() for a in inputs))).reshape(shape)
        fortran = [np.array(a, order="F") for a in inputs]
        for arrays in (inputs, fortran, [inputs[0], *fortran[1:]], [fortran[0], *inputs[1:]]):
            got = p(*arrays)
            if shape == ():
                assert type(got) is dtype.type
            else:
                assert isinstance(got, np.ndarray) and got.shape == shape
            assert_same_bits(np.asarray(got), want)
            strided = np.empty((*shape, 2), dtype)[..., 1]
            for out in (np.empty(shape, dtype), np.empty(shape, dtype, order="F"), strided):
                assert p(*arrays, out=out) is out
                assert_same_bits(out, want)
        if len(shape) > 1:
            assert p(*fortran).flags.f_contiguous
            assert p(*inputs).flags.c_contiguous
            assert_same_bits(p(*(a.T for a in inputs)), want.T)
            assert_same_bits(p(*(a[::-1, ::-1] for a in inputs)), want[::-1, ::-1])
            assert_same_bits(p(*(a[:, ::2] for a in inputs)), want[:, ::2])
            for order in "CFAK":
                assert_same_bits(p(*inputs, order=order), want)
            assert p(*inputs, order="F").flags.f_contiguous
            assert p(*fortran, order="C").flags.c_contiguous


@each_dtype
@pytest.mark.parametrize("p", [p for p in PASSES if p.kind == "backward" or p.slope], ids=str)
def test_broadcasting(p, dtype, rng):
    """dy or y as a row, a column, a scalar and a 0-d array; a slope for every channel, row and element."""
    shape = (37, 21)
    inputs = [a.reshape(shape) for a in data(p, dtype, 37 * 21, rng)]
    if p.kind == "backward":
        dy, y = inputs
        for a, b in [(dy[:1], y), (dy[:, :1], y), (dy, y[0]), (dy, y[:, :1]), (dy[:1], y[:, :1]), (dy[3, 3], y),
                     (dy, y[3, 3]), (np.array(dy[2, 2]), y), (np.broadcast_to(dy[:1], shape), y)]:  # fmt: skip
            full = [np.ascontiguousarray(np.broadcast_to(array, shape)) for array in (a, b)]
            assert_same_bits(p(a, b), p(*full))
            out = np.empty(shape, dtype)
            assert p(a, b, out=out) is out
            assert_same_bits(out, p(*full))
    if p.slope:
        table = rng.choice(np.array([0, 0.01, 0.25, 3], dtype), shape)
        want = np.empty(shape, dtype)
        for slope in (table, table[0], table[:, :1], table[0, 0], np.array(table[1, 1]), table[0].tolist()):
            full = np.broadcast_to(slope, shape)
            for index in np.ndindex(shape):
                want[index] = p(*(a[index] for a in inputs), slope=float(full[index]))
            slope = np.asarray(slope, dtype) if isinstance(slope, list) else slope
            assert_same_bits(p(*inputs, slope=slope), want)
            out = np.empty(shape, dtype)
            assert p(*inputs, slope=slope, out=out) is out
            assert_same_bits(out, want)
            assert_same_bits(p(*(np.asfortranarray(a) for a in inputs), slope=slope), want)


@each_dtype
@each_pass
def test_out_by_position_and_in_a_tuple(p, dtype, rng):
    """`out` by position, by keyword, in a tuple as ufuncs allow, None; what comes back is `out` itself."""
    inputs = data(p, dtype, 50, rng)
    slope = [0.25] if p.slope else []
    want = p.function(*inputs, *slope)
    out = np.empty(50, dtype)
    for call in (
        lambda: p.function(*inputs, *slope, out),
        lambda: p.function(*inputs, *slope, out=out),
        lambda: p.function(*inputs, *slope, out=(out,)),
    ):
        out[:] = 7
        assert call() is out
        assert_same_bits(out, want)
    assert_same_bits(p.function(*inputs, *slope, None), want)
    names = dict(zip(p.arguments, inputs, strict=True))
    assert_same_bits(p.function(**names, **p.keywords(0.25)), want)


@each_dtype
@each_pass
def test_ufunc_options(p, dtype, rng):
    """where (all, some, none, broadcast), dtype up and down, casting, order, subok: as np.tanh has them."""
    inputs = [a.reshape(10, 7) for a in data(p, dtype, 70, rng)]
    want = p(*inputs)
    where = rng.random((10, 7)) < 0.5
    for mask in (where, np.ones((10, 7), bool), np.zeros((10, 7), bool), where[0], where[:, :1]):
        out = np.full((10, 7), 7, dtype)
        assert p(*inputs, out=out, where=mask) is out
        assert_same_bits(out, np.where(mask, want, dtype.type(7)))
    assert_same_bits(p(*inputs, out=np.empty((10, 7), dtype), where=True), want)
    other = F8 if dtype == F4 else F4
    with np.errstate(all="ignore"):
        converted = [a.astype(other) for a in inputs]
        assert_same_bits(p(*inputs, dtype=other, casting="same_kind"), p(*converted))
        narrow = want.astype(other)
    assert_same_bits(p(*inputs, dtype=dtype), want)
    out = np.empty((10, 7), other)
    assert p(*inputs, out=out) is out
    assert_same_bits(out, narrow)
    for casting in ("no", "equiv", "safe", "same_kind", "unsafe"):
        assert_same_bits(p(*inputs, casting=casting), want)


@each_dtype
@each_pass
def test_read_only_input(p, dtype, rng):
    """Inputs that may not be written, whole and strided: values, and not one byte of them changed."""
    inputs = data(p, dtype, 300, rng)
    want = p(*inputs)
    for a in inputs:
        a.flags.writeable = False
    before = [a.tobytes() for a in inputs]
    assert_same_bits(p(*inputs), want)
    assert_same_bits(p(*(a[::2] for a in inputs)), want[::2])
    assert before == [a.tobytes() for a in inputs]


@each_dtype
@each_pass
def test_in_place(p, dtype, rng):
    """Lengths 0-130, 5,000 and 300,001: out=x, out=dy, out=y, and dy, y and out all one array; whole and strided."""
    inputs = data(p, dtype, 300_001, rng)
    for length in [*range(131), 5000, 300_001]:
        for step in (1, 2, -1):
            arrays = [a[:length][::step] for a in inputs]
            want = p(*(a.copy() for a in arrays))
            for k in range(len(arrays)):
                fresh = [a[:length].copy()[::step] for a in inputs]
                assert p(*fresh, out=fresh[k]) is fresh[k]
                assert_same_bits(fresh[k], want, f"length {length}, step {step}, in argument {k}")
                for j in set(range(len(arrays))) - {k}:
                    assert_same_bits(fresh[j], arrays[j], "the other argument")
            if len(arrays) == 2:
                both = inputs[1][:length].copy()[::step]
                want = p(both.copy(), both.copy())
                assert p(both, both, out=both) is both
                assert_same_bits(both, want)


def random_view(raw, dtype, shape, rng):
    """A view of the bytes `raw` of this shape: any offset, strides of either sign, elements apart from each other."""
    size = dtype.itemsize
    axes = rng.permutation(len(shape))
    strides, reach = [0] * len(shape), 1
    for axis in axes:
        gap = reach * int(rng.integers(1, 3))
        strides[axis] = gap
        reach = gap * shape[axis]
    reach = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1
    room = raw.nbytes - reach * size
    shift = int(rng.integers(0, room // size + 1)) * size
    if rng.random() < 0.1:
        shift = min(room, shift + int(rng.integers(1, size)))  # unaligned
    a = np.ndarray(shape, dtype, raw, shift, [s * size for s in strides])
    return a[tuple(slice(None, None, int(rng.choice([1, -1]))) for _ in shape)]


@each_dtype
@each_pass
def test_overlap(p, dtype, rng):
    """250 cases a pass and type, 6,000 in all: inputs, slopes and out are views of one buffer, strided at random.

    The result is as if the inputs had been copied first, and the rest of the buffer stays.
    """
    low, high = p.activation.y_range
    overlapping = 0
    for case in range(OVERLAPS):
        shape = tuple(rng.integers(1, 41, 1)) if case % 3 else tuple(rng.integers(1, 9, 2))
        shape = (int(rng.integers(600, 3000)),) if case % 20 == 1 else tuple(map(int, shape))
        room = int(np.prod(shape)) * 4 + int(rng.integers(0, 40))
        # numbers that may be slopes too; read at unaligned places, any bytes are
        buffer = np.abs(rng.uniform(low, high, room)).astype(dtype)
        raw = buffer.view(np.uint8)
        arrays = [random_view(raw, dtype, shape, rng) for _ in p.arguments]
        out = random_view(raw, dtype, shape, rng)
        if case % 7 == 0:
            out = arrays[case % len(arrays)]
        if case % 11 == 0:  # one element ahead or behind, the case that a block-wise loop gets wrong
            line = buffer[: shape[0] + 1]
            arrays = [line[case % 2 :][: shape[0]] for _ in arrays]
            out = line[1 - case % 2 :][: shape[0]]
        slope = None
        if p.slope and case % 2:
            slope = random_view(raw, dtype, out.shape, rng)
            if not np.isfinite(slope).all() or (slope < 0).any():
                slope = None
        overlapping += any(np.shares_memory(out, a) for a in arrays) if out.size < 500 else 0
        copies = [np.array(a) for a in arrays]
        want = p(*copies, slope=None if slope is None else np.array(slope))
        shift = out.__array_interface__["data"][0] - buffer.__array_interface__["data"][0]
        expected = raw.copy()
        np.ndarray(out.shape, dtype, expected, shift, out.strides)[...] = want
        assert p(*arrays, slope=slope, out=out) is out
        assert raw.tobytes() == expected.tobytes(), f"case {case}: {[a.strides for a in arrays]} -> {out.strides}"
    assert overlapping > OVERLAPS // 3


@each_dtype
@each_pass
def test_overlap_of_long_arrays(p, dtype, rng):
    """700,000 elements, shared by two threads: out ahead of its inputs or behind by one, 7 and 100,000 elements, and
    backwards over them."""
    low, high = p.activation.y_range
    line = rng.uniform(low, high, 800_000).astype(dtype)
    want = p(*[line] * len(p.arguments))
    n = 700_000
    with fastact.num_threads(2):
        for shift in (1, 7, 100_000):
            for ahead, behind in ((shift, 0), (0, shift)):
                buffer = line.copy()
                p(*[buffer[ahead:][:n]] * len(p.arguments), out=buffer[behind:][:n])
                expected = line.copy()
                expected[behind:][:n] = want[ahead:][:n]
                assert_same_bits(buffer, expected, f"{ahead}, {behind}")
        buffer = line.copy()
        p(*[buffer[::-1]] * len(p.arguments), out=buffer)
        assert_same_bits(buffer, want[::-1])


@each_dtype
@each_pass
def test_overlap_with_where_and_a_cast(p, dtype, rng):
    """out one element ahead of, behind or at its inputs, half of them picked by where, with dtype= and without: the
    others stay (NumPy's own functions write over them)."""
    line = rng.uniform(0, 1, 600).astype(dtype)
    mask = rng.random(599) < 0.5
    for options in ({}, {"dtype": "f2"}, {"dtype": F8 if dtype == F4 else F4}):
        for ahead, behind in ((1, 0), (0, 1), (0, 0)):
            buffer = line.copy()
            x, out = buffer[ahead:][:599], buffer[behind:][:599]
            want = out.copy()
            with np.errstate(all="ignore"):
                np.copyto(want, p(*[x.copy()] * len(p.arguments), **options), where=mask, casting="same_kind")
            p(*[x] * len(p.arguments), out=out, where=mask, **options)
            assert_same_bits(out, want)
            if dtype == F4 or "dtype" not in options:  # the same memory by the buffer protocol
                buffer[:] = line
                p(*[memoryview(x)] * len(p.arguments), out=out, where=mask, **options)
                assert_same_bits(out, want)


def array_memory():
    snapshot = tracemalloc.take_snapshot()
    numpys = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    return sum(trace.size for trace in snapshot.filter_traces([numpys]).traces)


def test_the_example_in_place():
    """A million float32 through sigmoid(x, out=x): x itself comes back, no array is made, and the values are right."""
    x = np.random.default_rng(0).standard_normal(1_000_000).astype("f4")
    exact = exact_from_wider(fastact._reference.sigmoid(x), F4)
    before = x.copy()
    tracemalloc.start()
    try:
        arrays = array_memory()
        tracemalloc.reset_peak()
        start, _ = tracemalloc.get_traced_memory()
        y = fastact.sigmoid(x, out=x)
        _, peak = tracemalloc.get_traced_memory()
        assert array_memory() == arrays
    finally:
        tracemalloc.stop()
    assert y is x
    assert peak - start < 10 * 1024
    error, where = largest(x, exact, before)
    assert error < 1.5, where


@each_dtype
@each_pass
def test_in_place_allocates_nothing(p, dtype, rng):
    """1,000,000 elements, whole, 2-D in both orders, and one thread: the peak stays under 10 KiB, no array is made."""
    inputs = data(p, dtype, 1_000_000, rng)
    inputs[-1][:] = 0.5
    layouts = [inputs, [a.reshape(1000, 1000) for a in inputs], [a.reshape(1000, 1000).T for a in inputs]]
    for arrays in layouts:
        for threads in (1, 2):
            fastact.set_num_threads(threads)
            for out in arrays:
                p(*arrays, out=out)
                tracemalloc.start()
                try:
                    start, _ = tracemalloc.get_traced_memory()
                    tracemalloc.reset_peak()
                    assert p(*arrays, out=out) is out
                    _, peak = tracemalloc.get_traced_memory()
                    assert array_memory() == 0
                finally:
                    tracemalloc.stop()
                assert peak - start < 10 * 1024
