"""Largest and mean errors of other libraries' float32 sigmoid and tanh, over all 2^32 inputs, beside fastact's; and of
float16 and bfloat16, over all 65,536.

    python tools/sweep_peers.py [step, default 1: every input]

Needs what the benchmarks compare with: pip install ".[bench,peers]" torch==2.13.0 ml_dtypes. Runs a process a
processor; half an hour on two. The exact value is float64's, an ULP the spacing of the type at that value (2^-149 for
subnormals of float32), the mean over all inputs but NaN. "0 for" counts results of 0 where the exact one is not.
"""

import concurrent.futures
import multiprocessing
import os
import sys

import numpy as np

from fastact import _reference
from fastact.benchmarks import peers
from fastact.nn.progress import Progress

OPERATIONS = ("sigmoid", "tanh")
CHUNK = 2**20
NAMES = ["fastact", "numpy", "numpy (other)", "scipy", "numba", "torch", "onnxruntime", "jax"]


class Errors:
    """Largest error and where, sum of errors, inputs counted, and zeros that should be none."""

    def __init__(self):
        self.largest, self.at, self.total, self.count, self.zeros = 0.0, 0.0, 0.0, 0, 0

    def add(self, x, got, exact, unit):
        error = np.abs(got.astype(np.float64) - exact) / unit
        np.copyto(error, np.inf, where=np.isnan(error) & ~np.isnan(exact))
        known = ~np.isnan(exact)
        error = np.where(known, error, 0.0)
        worst = int(error.argmax())
        self.merge((float(error[worst]), float(x[worst]), float(error.sum()), int(known.sum()),
                    int(((got == 0) & (exact / unit > 1)).sum())))  # fmt: skip

    def merge(self, other):
        largest, at, total, count, zeros = other
        if largest > self.largest:
            self.largest, self.at = largest, at
        self.total, self.count, self.zeros = self.total + total, self.count + count, self.zeros + zeros

    def numbers(self):
        return self.largest, self.at, self.total, self.count, self.zeros


def exact_and_unit(operation, x, info):
    """Return the exact values, and the spacing of a type with `info` there."""
    exact = getattr(_reference, operation)(x.astype(np.float64))
    _, exponent = np.frexp(exact)
    return exact, np.ldexp(1.0, np.maximum(exponent - 1 - info.nmant, info.minexp - info.nmant))


def sweep(start, step, libraries=None):
    """Return the errors on CHUNK inputs, as numbers by operation and library."""
    libraries = libraries or _libraries()
    bits = (np.arange(CHUNK, dtype=np.uint64) * step + start).astype(np.uint32)
    x = bits.view(np.float32)
    found = {}
    with np.errstate(all="ignore"):
        for operation in OPERATIONS:
            exact, unit = exact_and_unit(operation, x, np.finfo(np.float32))
            for library in libraries:
                for mode in ("into", "new"):
                    inputs = peers.Inputs(operation, x)
                    if contestant := library.contestant(inputs, mode):
                        errors = found[operation, library.name] = Errors()
                        errors.add(x, library.result(contestant, inputs, mode), exact, unit)
                        break
    return {key: errors.numbers() for key, errors in found.items()}


_loaded = []


def _libraries():
    """Load the libraries once a process."""
    if not _loaded:
        _loaded.extend(peers.load(1, names=NAMES)[0])
    return _loaded


def halves():
    """Yield type, operation, library and errors over all 65,536 inputs, of fastact and PyTorch."""
    import ml_dtypes
    import torch

    import fastact

    bits = np.arange(2**16, dtype=np.uint16)
    types = {"float16": (np.float16, torch.float16), "bfloat16": (ml_dtypes.bfloat16, torch.bfloat16)}
    for name, (dtype, torch_type) in types.items():
        x = bits.view(dtype)
        tensor = torch.from_numpy(bits.view(np.int16)).view(torch_type)
        for operation in OPERATIONS:
            exact, unit = exact_and_unit(operation, x, ml_dtypes.finfo(dtype))
            for library, got in (
                ("fastact", getattr(fastact, operation)(x)),
                ("torch", getattr(torch, operation)(tensor).float().numpy()),
            ):
                errors = Errors()
                errors.add(x, got, exact, unit)
                yield name, operation, library, errors


def show(kind, operation, library, errors):
    print(f"| {kind} | {operation} | {library} | {errors.largest:.4g} | {errors.at:.9g} "
          f"| {errors.total / errors.count:.4f} | {errors.zeros:,} |", flush=True)  # fmt: skip


def main():
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    print("| type | pass | library | largest, ULP | at | mean | 0 for |\n" + "| --- " * 7 + "|", flush=True)
    with np.errstate(all="ignore"):
        for row in halves():
            show(*row)
    starts = range(0, 2**32, CHUNK * step)
    totals = {}
    context = multiprocessing.get_context("spawn")
    with (
        concurrent.futures.ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool,
        Progress(len(starts), "sweep") as bar,
    ):
        for found in pool.map(sweep, starts, [step] * len(starts)):
            for key, numbers in found.items():
                totals.setdefault(key, Errors()).merge(numbers)
            bar.update()
    for operation, library in sorted(totals):
        show("float32", operation, library, totals[operation, library])


if __name__ == "__main__":
    main()
