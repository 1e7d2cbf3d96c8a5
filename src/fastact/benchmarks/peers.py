"""fastact and the libraries that its users would otherwise call: how each computes each pass.

A library is a class with a table of statements, written as its users would write them. In a statement ``x`` (or ``dy``
and ``y``, the output of the forward pass) is the input, ``out`` the array for the result, ``one`` a 1 of the type.

- ``into``: writes the result to ``out``; ``out`` is the input itself (``x`` or ``dy``) where a pass in place is timed.
- ``inplace``: a way of its own to work in place.
- ``new``: an expression whose value is a new array.

A statement may also name arrays of the output's shape that are made before: ``scratch``, ``ones``, ``zeros`` and
``slopes``.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from collections.abc import Collection
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

import fastact.exact
from fastact import _reference
from fastact.benchmarks.timing import Contestant
from fastact.nn.layers import ACTIVATIONS

NEGATIVE_SLOPE = 0.01  # the default of fastact and of PyTorch
OPERATIONS = tuple(a + kind for kind in ("", "_derivative", "_backward") for a in ACTIVATIONS)
# the passes of fastact.exact that are not fastact's own; others compute them as they compute the plain ones
EXACT = ("exact_sigmoid", "exact_tanh", "exact_sigmoid_derivative", "exact_tanh_derivative")
MODES = ("into", "inplace", "new")
CANNOT_BE_HELD = "cannot be held to the instruction set"
PAGE = 4096  # bytes
# a result further from the reference than this (of results near 1) is wrong, and is not timed
TOLERANCE = {"float32": 64 * 2.0**-24, "float64": 64 * 2.0**-53}


def input_names(operation: str) -> tuple[str, ...]:
    """Return what the inputs of a pass are called in its statements."""
    return ("dy", "y") if operation.endswith("_backward") else ("x",)


def describe(error: Exception) -> str:
    """Return an exception as text: its class and its message."""
    return f"{type(error).__name__}: {error}"


def empty(shape, dtype):
    """Return an array that starts at a page, unlike NumPy's own, which start 16 bytes further on: there a pass over
    vectors of 64 bytes may take half as long again."""
    dtype = np.dtype(dtype)
    memory = np.empty(int(np.prod(shape)) * dtype.itemsize + PAGE, np.uint8)
    start = -memory.ctypes.data % PAGE
    return memory[start : start + memory.size - PAGE].view(dtype).reshape(shape)


def full(shape, value, dtype):
    """Return such an array, filled with a value."""
    array = empty(shape, dtype)
    array[...] = value
    return array


class Statements(NamedTuple):
    """How a library computes one pass, by mode."""

    into: str | None = None
    inplace: str | None = None
    new: str | None = None


class Inputs:
    """The arrays of one comparison: the inputs of the operation, and an output that all libraries share.

    Parameters
    ----------
    operation : str
        One of `OPERATIONS` or `EXACT`.
    arrays : tuple of ndarray
        The inputs, as fastact takes them.
    """

    def __init__(self, operation: str, *arrays: np.ndarray) -> None:
        self.operation = operation
        self.plain_operation = operation.removeprefix("exact_")  # which other libraries have
        self.arrays = dict(zip(input_names(operation), arrays, strict=True))
        self.first = input_names(operation)[0]
        self.shape = np.broadcast_shapes(*(array.shape for array in arrays))
        self.dtype = arrays[0].dtype
        self.out = empty(self.shape, self.dtype)

    @cached_property
    def expected(self):
        """Which elements are compared, as an index, and the float64 reference for them.

        Of a large array these are both ends and a sample of the rest, whose step is odd, so that every place in a
        vector is met.
        """
        size, limit = self.out.size, 2**20
        if size <= limit:
            index = slice(None)
        else:
            end = limit // 4
            index = np.r_[:end, end : size - end : size // limit | 1, size - end : size]
        reference = getattr(_reference, self.plain_operation)
        return index, reference(*(array[index] for array in self.arrays.values()))

    def namespace(self, mode: str) -> dict[str, np.ndarray]:
        """Return the arrays by name. In place, the first input and ``out`` are one array, a copy of that input."""
        if mode == "new":
            return dict(self.arrays)
        if mode == "into":
            return {**self.arrays, "out": self.out}
        self.out[...] = self.arrays[self.first]
        return {**self.arrays, self.first: self.out, "out": self.out}


def _contiguous(inputs: Inputs) -> bool:
    return all(array.flags.c_contiguous and array.shape == inputs.shape for array in inputs.arrays.values())


class Library:
    """Base of the libraries: NumPy arrays go to the statements as they are.

    Raises
    ------
    ImportError
        It is not installed.
    """

    name: str
    package: str | None = None  # what pip calls it, where it has another name
    statements: ClassVar[dict[str, Statements]] = {}
    can_be_held = True  # to an instruction set, by an environment variable (or it uses none above the baseline)
    settle = 0.0  # seconds: see `Contestant`

    def __init__(self, threads: int) -> None:
        self.namespace: dict[str, Any] = {"np": np}
        self.threads = threads
        self.version = importlib.metadata.version(self.package or self.name)

    @staticmethod
    def supports(inputs: Inputs) -> bool:
        """Whether the library can work on arrays of this layout."""
        return True

    def convert(self, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        """Return the arrays as the library takes them: where it can, sharing the memory of the given ones."""
        return arrays

    def contestant(self, inputs: Inputs, mode: str) -> Contestant | None:
        """Return the way to compute a pass as a `Contestant`, or None where the library has none."""
        statements = self.statements.get(inputs.operation) or self.statements.get(inputs.plain_operation, Statements())
        statement = getattr(statements, mode)
        if statement is None and mode == "inplace":
            statement = statements.into
        if statement is None or not self.supports(inputs):
            return None
        arrays = inputs.namespace(mode)
        arrays["one"] = np.ones(1, inputs.dtype)
        for name, value in {"scratch": 0, "zeros": 0, "ones": 1, "slopes": NEGATIVE_SLOPE}.items():
            if name in statement:
                arrays[name] = full(inputs.shape, value, inputs.dtype)
        return Contestant(self.name, statement, {**self.namespace, **self.convert(arrays)}, settle=self.settle)

    def result(self, contestant: Contestant, inputs: Inputs, mode: str) -> np.ndarray:
        """Run a contestant once and return its result as an ndarray."""
        value = contestant.run()
        return np.asarray(value) if mode == "new" else inputs.out

    def fault(self, inputs: Inputs, mode: str) -> str | None:
        """Return what is wrong with the result for these inputs, or None if nothing is or the pass is missing."""
        try:
            contestant = self.contestant(inputs, mode)
            if contestant is None:
                return None
            if mode == "into":
                inputs.out.fill(np.nan)  # or the result of the library before would be there
            got = self.result(contestant, inputs, mode)
        except Exception as error:  # whatever a library raises, the others are measured
            return f"fails: {describe(error)}"
        if got.shape != inputs.shape or got.dtype != inputs.dtype:
            return f"gives {got.dtype} of shape {got.shape}"
        index, want = inputs.expected
        tolerance = TOLERANCE[inputs.dtype.name]
        if np.allclose(got[index], want, rtol=tolerance, atol=tolerance, equal_nan=True):
            return None
        return f"wrong by up to {np.max(np.abs(got[index] - want)):.1g}"


def _call_with_out(function, operation):
    arguments = ", ".join(input_names(operation))
    return Statements(into=f"{function}({arguments}, out=out)", new=f"{function}({arguments})")


class Fastact(Library):
    name = "fastact"
    statements: ClassVar = {
        operation: _call_with_out(f"fastact.{operation.replace('exact_', 'exact.')}", operation)
        for operation in (*OPERATIONS, *EXACT)
    }

    def __init__(self, threads):
        super().__init__(threads)
        fastact.set_num_threads(threads)
        self.namespace["fastact"] = fastact


class NumPy(Library):
    """Passes over the whole array into `out`, the fewest that NumPy needs."""

    name = "numpy"
    _sigmoid = "np.negative(x, out=out); np.exp(out, out=out); np.add(out, 1, out=out); np.divide(1, out, out=out)"
    statements: ClassVar = {
        "sigmoid": Statements(into=_sigmoid, new="1 / (1 + np.exp(-x))"),
        "tanh": Statements(into="np.tanh(x, out=out)", new="np.tanh(x)"),
        "relu": Statements(into="np.maximum(x, 0, out=out)", new="np.maximum(x, 0)"),
        "leaky_relu": Statements(
            into="np.multiply(x, 0.01, out=scratch); np.maximum(x, scratch, out=out)", new="np.maximum(x, 0.01 * x)"
        ),
        "sigmoid_derivative": Statements(
            into=f"{_sigmoid}; np.subtract(1, out, out=scratch); np.multiply(out, scratch, out=out)",
            new="(y := 1 / (1 + np.exp(-x))) * (1 - y)",
        ),
        "tanh_derivative": Statements(
            into="np.tanh(x, out=out); np.multiply(out, out, out=out); np.subtract(1, out, out=out)",
            new="1 - np.square(np.tanh(x))",
        ),
        "relu_derivative": Statements("np.greater(x, 0, out=out, casting='unsafe')", new="(x > 0).astype(x.dtype)"),
        "leaky_relu_derivative": Statements(
            into="np.greater(x, 0, out=out, casting='unsafe'); np.multiply(out, 0.99, out=out); "
            "np.add(out, 0.01, out=out)",
            new="(x > 0).astype(x.dtype) * 0.99 + 0.01",
        ),
        "sigmoid_backward": Statements(
            into="np.subtract(1, y, out=scratch); np.multiply(scratch, y, out=scratch); "
            "np.multiply(scratch, dy, out=out)",
            new="dy * y * (1 - y)",
        ),
        "tanh_backward": Statements(
            into="np.multiply(y, y, out=scratch); np.subtract(1, scratch, out=scratch); "
            "np.multiply(scratch, dy, out=out)",
            new="dy * (1 - y * y)",
        ),
        "relu_backward": Statements(into="np.multiply(dy, y > 0, out=out)", new="dy * (y > 0)"),
        "leaky_relu_backward": Statements(
            # where= and np.where, which look at one element at a time, take ten times as long
            into="np.greater(y, 0, out=scratch, casting='unsafe'); np.multiply(scratch, 0.99, out=scratch); "
            "np.add(scratch, 0.01, out=scratch); np.multiply(scratch, dy, out=out)",
            new="dy * ((y > 0).astype(y.dtype) * 0.99 + 0.01)",
        ),
    }


class NumPyOther(Library):
    """Second ways of NumPy, for the passes that have two of which neither is always the faster.

    The sigmoid as a scaled tanh, which NumPy has vectorised, but without relative accuracy on the left; ReLU against an
    array of zeros, which has a vector loop where a single zero has none, but moves half as much again; and leaky ReLU's
    derivative as the larger of 0 or 1 and an array of slopes, a pass less but an array more.
    """

    name = "numpy (other)"
    package = "numpy"
    statements: ClassVar = {
        "sigmoid": Statements(
            into="np.multiply(x, 0.5, out=out); np.tanh(out, out=out); np.multiply(out, 0.5, out=out); "
            "np.add(out, 0.5, out=out)",
            new="0.5 * np.tanh(0.5 * x) + 0.5",
        ),
        "sigmoid_derivative": Statements(
            into="np.multiply(x, 0.5, out=out); np.tanh(out, out=out); np.multiply(out, out, out=out); "
            "np.subtract(1, out, out=out); np.multiply(out, 0.25, out=out)",
            new="0.25 * (1 - np.tanh(0.5 * x) ** 2)",
        ),
        "relu": Statements(into="np.maximum(x, zeros, out=out)", new="np.maximum(x, zeros)"),
        "leaky_relu_derivative": Statements(
            into="np.greater(x, 0, out=out, casting='unsafe'); np.maximum(out, slopes, out=out)",
            new="np.maximum(x > 0, slopes)",
        ),
        "leaky_relu_backward": Statements(
            into="np.greater(y, 0, out=scratch, casting='unsafe'); np.maximum(scratch, slopes, out=scratch); "
            "np.multiply(scratch, dy, out=out)",
            new="dy * np.maximum(y > 0, slopes)",
        ),
    }


class SciPy(Library):
    name = "scipy"
    statements: ClassVar = {"sigmoid": Statements(into="expit(x, out=out)", new="expit(x)")}

    def __init__(self, threads):
        super().__init__(threads)
        self.namespace["expit"] = importlib.import_module("scipy.special").expit


def _numexpr(expression, out=""):
    return Statements(into=f"numexpr.evaluate({expression!r}, out=out)", new=f"numexpr.evaluate({expression!r}{out})")


class NumExpr(Library):
    """`evaluate`: `re_evaluate`, which takes less time, repeats the expression that was evaluated last, by anyone.

    Its `maximum` (from version 2.13) takes less time than `where`, but for a few thousand elements; it makes a float64
    array of float32 ones unless it is told where to write.
    """

    name = "numexpr"
    # a Python float in an expression is a float64 and would make float32 arrays float64; c, one and zero are of theirs
    statements: ClassVar = {
        "sigmoid": _numexpr("1 / (1 + exp(-x))"),
        "tanh": _numexpr("tanh(x)"),
        "relu": _numexpr("maximum(x, zero)", out=", out=np.empty_like(x)"),
        "leaky_relu": _numexpr("maximum(x, c * x)", out=", out=np.empty_like(x)"),
        "sigmoid_derivative": _numexpr("exp(-abs(x)) / (1 + exp(-abs(x)))**2"),
        "tanh_derivative": _numexpr("1 - tanh(x)**2"),
        "relu_derivative": _numexpr("where(x > 0, one, zero)"),
        "leaky_relu_derivative": _numexpr("where(x > 0, one, c)"),
        "sigmoid_backward": _numexpr("dy * y * (1 - y)"),
        "tanh_backward": _numexpr("dy * (1 - y * y)"),
        "relu_backward": _numexpr("where(y <= 0, zero, dy)"),
        "leaky_relu_backward": _numexpr("where(y > 0, dy, c * dy)"),
    }

    def __init__(self, threads):
        super().__init__(threads)
        numexpr = self.namespace["numexpr"] = importlib.import_module("numexpr")
        numexpr.set_num_threads(threads)
        self.version += "" if numexpr.use_vml else " (without VML)"

    def convert(self, arrays):
        one = arrays["one"][0]
        return {**arrays, "one": one, "zero": 0 * one, "c": one * one.dtype.type(NEGATIVE_SLOPE)}


class Numba(Library):
    """A loop over vectors or matrices for each pass, compiled by ``njit(parallel=True, fastmath=True)``."""

    name = "numba"
    statements: ClassVar = {
        operation: Statements(
            into=f"{operation}_into({', '.join(input_names(operation))}, out)",
            new=f"{operation}({', '.join(input_names(operation))})",
        )
        for operation in OPERATIONS
    }
    # NaN does not survive fastmath; everything else is as users write it. The numbers are of the arrays' type: with a
    # literal 1 Numba computes float32 in float64.
    expressions: ClassVar = {
        "sigmoid": "one / (one + np.exp(-x))",
        "tanh": "np.tanh(x)",
        "relu": "max(x, 0 * x)",
        "leaky_relu": "x if x > 0 else c * x",
        "sigmoid_derivative": "np.exp(-abs(x)) / (one + np.exp(-abs(x)))**2",
        "tanh_derivative": "one - np.tanh(x)**2",
        "relu_derivative": "one if x > 0 else 0 * one",
        "leaky_relu_derivative": "one if x > 0 else c",
        "sigmoid_backward": "dy * y * (one - y)",
        "tanh_backward": "dy * (one - y * y)",
        "relu_backward": "dy if y > 0 else 0 * dy",
        "leaky_relu_backward": "dy if y > 0 else c * dy",
    }

    def __init__(self, threads):
        super().__init__(threads)
        self._numba = importlib.import_module("numba")
        self._numba.set_num_threads(threads)
        self._loops = {}
        self.version += "" if self._numba.config.USING_SVML else " (without SVML)"

    @staticmethod
    def supports(inputs):
        return len(inputs.shape) in (1, 2)

    def contestant(self, inputs, mode):
        operation, dimensions = inputs.plain_operation, len(inputs.shape)
        if self.supports(inputs):
            name = operation if mode == "new" else f"{operation}_into"
            if (name, dimensions) not in self._loops:
                self._loops[name, dimensions] = self._compile(operation, name, dimensions, allocates=mode == "new")
            self.namespace[name] = self._loops[name, dimensions]
        return super().contestant(inputs, mode)

    def _compile(self, operation, name, dimensions, allocates):
        """Return a compiled function over vectors or matrices, whose result is a new array or goes into ``out``."""
        names = input_names(operation)
        arrays = [f"{name}s" for name in names]
        index = ", ".join("ij"[:dimensions])
        indent = " " * 4 * (1 + dimensions)
        lines = [f"def {name}({', '.join(arrays if allocates else [*arrays, 'out'])}):"]
        if allocates:
            lines.append(f"    out = np.empty_like({arrays[0]})")
        lines += ["    one = out.dtype.type(1)", f"    c = out.dtype.type({NEGATIVE_SLOPE})"]
        lines.append("    for i in prange(out.shape[0]):")
        if dimensions == 2:
            lines.append("        for j in range(out.shape[1]):")
        lines += [f"{indent}{element} = {array}[{index}]" for element, array in zip(names, arrays, strict=True)]
        lines.append(f"{indent}out[{index}] = {self.expressions[operation]}")
        if allocates:
            lines.append("    return out")
        namespace = {"np": np, "prange": self._numba.prange}
        exec("\n".join(lines), namespace)
        return self._numba.njit(parallel=True, fastmath=True)(namespace[name])


def import_torch(threads):
    """Return PyTorch, held to a number of threads."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    return torch


def import_jax(threads):
    """Return JAX, on the processor and (if this is its first import) held to a number of threads."""
    # read when JAX starts its threads; it has no public setting for them
    os.environ |= {"NPROC": str(threads), "PJRT_NPROC": str(threads), "JAX_PLATFORMS": "cpu"}
    jax = importlib.import_module("jax")
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    return jax


def _torch(call, inplace=None, new=None):
    return Statements(into=f"{call}, out=out)", inplace=inplace, new=new or f"{call})")


def _aten_backward(name, arguments):
    call = f"torch.ops.aten.{name}_backward"
    return Statements(into=f"{call}.grad_input({arguments}, grad_input=out)", new=f"{call}({arguments})")


class PyTorch(Library):
    """Eager; tensors that share the arrays' memory, and record no gradient."""

    name = "torch"
    statements: ClassVar = {
        "sigmoid": _torch("torch.sigmoid(x", "x.sigmoid_()"),
        "tanh": _torch("torch.tanh(x", "x.tanh_()"),
        "relu": Statements("torch.clamp(x, min=0, out=out)", "x.relu_()", "torch.relu(x)"),
        "leaky_relu": Statements(
            "torch.ops.aten.leaky_relu.out(x, 0.01, out=out)", "leaky_relu_(x, 0.01)", "leaky_relu(x, 0.01)"
        ),
        "sigmoid_derivative": Statements(
            into="torch.sigmoid(x, out=out); torch.addcmul(out, out, out, value=-1, out=out)",
            new="torch.addcmul(y := torch.sigmoid(x), y, y, value=-1, out=y)",
        ),
        "tanh_derivative": Statements(
            into="torch.tanh(x, out=out); torch.addcmul(one, out, out, value=-1, out=out)",
            new="torch.addcmul(one, y := torch.tanh(x), y, value=-1, out=y)",
        ),
        # (x > 0).to(x.dtype) makes two arrays and takes eight times as long
        "relu_derivative": Statements("torch.gt(x, 0, out=out)", new="torch.gt(x, 0, out=torch.empty_like(x))"),
        "leaky_relu_derivative": _aten_backward("leaky_relu", "ones, x, 0.01, False"),
        "sigmoid_backward": _aten_backward("sigmoid", "dy, y"),
        "tanh_backward": _aten_backward("tanh", "dy, y"),
        "relu_backward": _aten_backward("threshold", "dy, y, 0"),
        "leaky_relu_backward": _aten_backward("leaky_relu", "dy, y, 0.01, True"),
    }

    def __init__(self, threads):
        super().__init__(threads)
        self._torch = torch = import_torch(threads)
        functional = torch.nn.functional
        self.namespace |= {"torch": torch, "leaky_relu": functional.leaky_relu, "leaky_relu_": functional.leaky_relu_}

    def convert(self, arrays):
        return {name: self._torch.from_numpy(array) for name, array in arrays.items()}


class OnnxRuntime(Library):
    """One operator a model; input and output bound to the arrays' memory."""

    name = "onnxruntime"
    can_be_held = False
    supports = staticmethod(_contiguous)
    settle = 0.1  # its threads wait for work in a loop
    operators: ClassVar = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "leaky_relu": "LeakyRelu"}
    statements: ClassVar = {
        operation: Statements(into="session.run_with_iobinding(binding)", new="session.run(None, {'x': x})[0]")
        for operation in operators
    }

    def __init__(self, threads):
        super().__init__(threads)
        self._onnx = importlib.import_module("onnx")
        self._runtime = importlib.import_module("onnxruntime")
        self._sessions = {}

    def contestant(self, inputs, mode):
        contestant = super().contestant(inputs, mode)
        if contestant is None:
            return None
        session = self._session(inputs.plain_operation, inputs.dtype)
        if session is None:
            return None
        namespace = contestant.namespace
        namespace["session"] = session
        if mode != "new":
            binding = namespace["binding"] = session.io_binding()
            ends = ((binding.bind_input, namespace["x"], "x"), (binding.bind_output, inputs.out, "y"))
            for bind, array, name in ends:
                bind(name, "cpu", 0, inputs.dtype, list(array.shape), array.ctypes.data)
        return contestant

    def fault(self, inputs, mode):
        fault = super().fault(inputs, mode)
        is_slope = fault and (inputs.operation, inputs.dtype) == ("leaky_relu", np.float64)
        return f"{fault}: the slope of its operator is a float32" if is_slope else fault

    def _session(self, operation, dtype):
        """Return a session for an operator, or None where the runtime has none for the type."""
        key = (operation, dtype)
        if key not in self._sessions:
            helper = self._onnx.helper
            kind = helper.np_dtype_to_tensor_dtype(dtype)
            settings = {"alpha": NEGATIVE_SLOPE} if operation == "leaky_relu" else {}
            node = helper.make_node(self.operators[operation], ["x"], ["y"], **settings)
            ends = [[helper.make_tensor_value_info(name, kind, None)] for name in "xy"]
            graph = helper.make_graph([node], operation, *ends)
            # an operator set and a format that every runtime of the last years reads
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
            options = self._runtime.SessionOptions()
            options.intra_op_num_threads = self.threads
            options.log_severity_level = 4
            try:
                session = self._runtime.InferenceSession(
                    model.SerializeToString(), options, providers=["CPUExecutionProvider"]
                )
            except Exception:  # of classes of its own: no kernel for this type
                session = None
            self._sessions[key] = session
        return self._sessions[key]


class Jax(Library):
    """Compiled by jit; JAX has no `out=`, so a result is a new array, or takes over a donated input's memory."""

    name = "jax"
    supports = staticmethod(_contiguous)
    settle = 0.1  # fastact's tanh of 16 Mi float64 after it: 4 to 16 ms after 10 ms, 4.3 after 60 (two processors)
    statements: ClassVar = {
        operation: Statements(
            into=f"{operation}({', '.join(inputs)}).block_until_ready()",
            inplace=f"{inputs[0]} = {operation}_donated({', '.join(inputs)}).block_until_ready()",
            new=f"{operation}({', '.join(inputs)}).block_until_ready()",
        )
        for operation, inputs in ((operation, input_names(operation)) for operation in OPERATIONS)
    }

    expressions: ClassVar = {
        "sigmoid": "jax.nn.sigmoid(x)",
        "tanh": "jnp.tanh(x)",
        "relu": "jax.nn.relu(x)",
        "leaky_relu": "jax.nn.leaky_relu(x, 0.01)",
        "sigmoid_derivative": "(y := jax.nn.sigmoid(x)) * (1 - y)",
        "tanh_derivative": "1 - jnp.square(jnp.tanh(x))",
        "relu_derivative": "(x > 0).astype(x.dtype)",
        "leaky_relu_derivative": "jnp.where(x > 0, 1, 0.01).astype(x.dtype)",
        "sigmoid_backward": "dy * y * (1 - y)",
        "tanh_backward": "dy * (1 - y * y)",
        "relu_backward": "jnp.where(y > 0, dy, 0)",
        "leaky_relu_backward": "jnp.where(y > 0, dy, 0.01 * dy)",
    }

    def __init__(self, threads):
        super().__init__(threads)
        jax = self._jax = import_jax(threads)
        jax.config.update("jax_enable_x64", True)
        for operation, expression in self.expressions.items():
            function = eval(f"lambda {', '.join(input_names(operation))}: {expression}", {"jax": jax, "jnp": jax.numpy})
            self.namespace[operation] = jax.jit(function)
            self.namespace[f"{operation}_donated"] = jax.jit(function, donate_argnums=0)

    def convert(self, arrays):
        return {name: self._jax.device_put(array) for name, array in arrays.items()}

    def contestant(self, inputs, mode):
        contestant = super().contestant(inputs, mode)
        if contestant is None or mode != "inplace":
            return contestant

        def fresh():
            # a copy, for `device_put` takes over an array that starts at a page, and NumPy's memory cannot be donated
            return self._jax.block_until_ready(self._jax.numpy.array(inputs.arrays[inputs.first], copy=True))

        contestant.namespace["fresh"] = fresh
        # a donated array is gone after the call
        return contestant._replace(setup=f"{inputs.first} = fresh()")

    def result(self, contestant, inputs, mode):
        value = contestant.run()
        return np.asarray(contestant.namespace[inputs.first] if mode == "inplace" else value)


class ScikitLearn(Library):
    """What its MLPs call, always in place; its derivatives take the output of the forward pass."""

    name = "sklearn"
    package = "scikit-learn"
    statements: ClassVar = {
        "sigmoid": Statements(inplace="inplace_logistic(x)"),
        "tanh": Statements(inplace="inplace_tanh(x)"),
        "relu": Statements(inplace="inplace_relu(x)"),
        "sigmoid_backward": Statements(inplace="inplace_logistic_derivative(y, dy)"),
        "tanh_backward": Statements(inplace="inplace_tanh_derivative(y, dy)"),
        "relu_backward": Statements(inplace="inplace_relu_derivative(y, dy)"),
    }

    def __init__(self, threads):
        super().__init__(threads)
        module = importlib.import_module("sklearn.neural_network._base")
        self.namespace |= {name: getattr(module, name) for name in dir(module) if name.startswith("inplace_")}


class Thinc(Library):
    name = "thinc"
    statements: ClassVar = {
        "sigmoid": Statements(inplace="ops.sigmoid(x, inplace=True)", new="ops.sigmoid(x)"),
        "relu": Statements(inplace="ops.relu(x, inplace=True)", new="ops.relu(x)"),
        # in place backprop_sigmoid writes to y, which the others keep
        "sigmoid_backward": Statements(new="ops.backprop_sigmoid(dy, y)"),
        "relu_backward": Statements(inplace="ops.backprop_relu(dy, y, inplace=True)", new="ops.backprop_relu(dy, y)"),
    }
    supports = staticmethod(_contiguous)

    def __init__(self, threads):
        super().__init__(threads)
        self.namespace["ops"] = importlib.import_module("thinc.api").NumpyOps()


LIBRARIES: tuple[type[Library], ...] = (
    Fastact, NumPy, NumPyOther, SciPy, NumExpr, Numba, PyTorch, OnnxRuntime, Jax, ScikitLearn, Thinc,
)  # fmt: skip


def load(
    threads: int, names: Collection[str] | None = None, held: bool = False
) -> tuple[list[Library], dict[str, str]]:
    """Import the libraries and hold each to a number of threads.

    Parameters
    ----------
    threads : int
    names : collection of str, optional
        Only these, beside fastact.
    held : bool, optional
        Whether the environment holds them to an instruction set below the machine's best: those that it cannot hold
        are then absent.

    Returns
    -------
    libraries : list of Library
        fastact first.
    absent : dict of str to str
        The reason for each one that is left out.
    """
    libraries: list[Library] = []
    absent: dict[str, str] = {}
    for library in LIBRARIES:
        if held and not library.can_be_held:
            absent[library.name] = CANNOT_BE_HELD
        elif names is None or library.name in names or library is Fastact:
            try:
                libraries.append(library(threads))
            except ImportError as error:  # PackageNotFoundError is one too
                absent[library.name] = str(error)
            except Exception as error:  # broken in one of many ways, an OSError for a missing shared library first
                absent[library.name] = f"cannot be loaded: {describe(error)}"
    return libraries, absent
