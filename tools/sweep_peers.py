"""Largest and mean errors of other libraries' float32 sigmoid and tanh, over all 2^32 inputs, and how many they round
wrongly, beside fastact's; and of all passes of float16 and bfloat16, over all 65,536 (as y in backward passes, dy being
any other).

    python tools/sweep_peers.py [step, default 1: every input]

Needs what the benchmarks compare with: pip install ".[bench,peers]" torch==2.13.0 ml_dtypes. Runs a process a
processor; half an hour on two. The exact value is float64's, an ULP the spacing of the type at that value (2^-149 for
subnormals of float32), the mean over all inputs but NaN. "wrong" counts results that are not the number nearest to the
exact value (in the middle between two, where float64 does not decide, none does), "0 for" those of 0 where the exact
one is not.
"""

import argparse
import concurrent.futures
import functools
import math
import multiprocessing
import os
from typing import NamedTuple

import numpy as np

import fastact.exact
from fastact import _reference
from fastact.benchmarks import peers
from fastact.nn.progress import Progress

OPERATIONS = ("sigmoid", "tanh")
CHUNK = 2**20
NAMES = ["fastact", "numpy", "numpy (other)", "scipy", "numba", "torch", "onnxruntime", "jax"]


class Errors(NamedTuple):
    """Largest error and where, sum of errors, inputs counted, wrong roundings, and zeros that should be none."""

    largest: float = 0.0
    at: float = 0.0
    total: float = 0.0
    count: int = 0
    wrong: int = 0
    zeros: int = 0

    @classmethod
    def of(cls, x, got, exact, unit, info):
        """Return the errors of results `got` at x."""
        past = float(info.max) + last_place(info)  # what an infinity stands for
        got = np.where(np.isinf(got) & np.isfinite(exact), np.copysign(past, got), got.astype(np.float64))
        error = np.abs(got - exact) / unit
        error[got == exact] = 0  # infinities
        np.copyto(error, np.inf, where=np.isnan(error) & ~np.isnan(exact))
        known = ~np.isnan(exact)
        error = np.where(known, error, 0.0)
        worst = int(error.argmax())
        units = exact / unit
        decides = np.isfinite(exact) & (np.abs(units - np.floor(units) - 0.5) > 2.0**-20)  # the float64 value
        wrong = int(((got != np.rint(units) * unit) & decides).sum())
        zeros = int(((got == 0) & (exact / unit > 1)).sum())
        return cls(float(error[worst]), float(x[worst]), float(error.sum()), int(known.sum()), wrong, zeros)

    def merged(self, other):
        worse = other if other.largest > self.largest else self
        sums = (mine + its for mine, its in zip(self[2:], other[2:], strict=True))
        return Errors(worse.largest, worse.at, *sums)


def last_place(info):
    """Return the distance from a type's largest number to that below it."""
    return float(info.eps) * 2.0 ** (math.frexp(float(info.max))[1] - 1)


def exact_and_unit(operation, arrays, info, *slope):
    """Return the exact values, those that overflow as infinities, and the spacing of a type with `info` there."""
    exact = getattr(_reference, operation)(*(array.astype(np.float64) for array in arrays), *slope)
    exact[np.abs(exact) >= float(info.max) + last_place(info) / 2] *= np.inf
    _, exponent = np.frexp(exact)
    return exact, np.ldexp(1.0, np.maximum(exponent - 1 - info.nmant, info.minexp - info.nmant))


@functools.cache
def libraries():
    """Load the libraries, once a process."""
    return peers.load(1, names=NAMES)[0]


def sweep(start, step):
    """Return the errors on CHUNK inputs, by operation and library."""
    bits = (np.arange(CHUNK, dtype=np.uint64) * step + start).astype(np.uint32)
    x = bits.view(np.float32)
    info = np.finfo(np.float32)
    found = {}
    with np.errstate(all="ignore"):
        for operation in OPERATIONS:
            exact, unit = exact_and_unit(operation, (x,), info)
            for library in libraries():
                for mode in ("into", "new"):
                    inputs = peers.Inputs(operation, x)
                    if contestant := library.contestant(inputs, mode):
                        got = library.result(contestant, inputs, mode)
                        found[operation, library.name] = Errors.of(x, got, exact, unit, info)
                        break
            got = getattr(fastact.exact, operation)(x)
            found[operation, "fastact.exact"] = Errors.of(x, got, exact, unit, info)
    return found


def halves():
    """Yield type, operation, library and errors over all 65,536 inputs, of fastact and (forward) PyTorch."""
    import ml_dtypes
    import torch

    bits = np.arange(2**16, dtype=np.uint16)
    types = {"float16": (np.float16, torch.float16), "bfloat16": (ml_dtypes.bfloat16, torch.bfloat16)}
    for name, (dtype, torch_type) in types.items():
        x = bits.view(dtype)
        tensor = torch.from_numpy(bits.view(np.int16)).view(torch_type)
        dy = np.random.default_rng(0).permutation(bits).view(dtype)
        info = ml_dtypes.finfo(dtype)
        for operation in peers.OPERATIONS:
            arrays = (dy, x) if operation.endswith("_backward") else (x,)
            slope = (float(np.array(peers.NEGATIVE_SLOPE, dtype)),) if operation.startswith("leaky_relu") else ()
            exact, unit = exact_and_unit(operation, arrays, info, *slope)
            results = {"fastact": getattr(fastact, operation)(*arrays)}
            if operation.startswith(OPERATIONS) and not operation.endswith("_backward"):
                results["fastact.exact"] = getattr(fastact.exact, operation)(*arrays)
            if operation in OPERATIONS:
                results["torch"] = getattr(torch, operation)(tensor).float().numpy()
            for library, got in results.items():
                yield name, operation, library, Errors.of(x, got, exact, unit, info)


def show(kind, operation, library, errors):
    print(f"| {kind} | {operation} | {library} | {errors.largest:.4g} | {errors.at:.9g} "
          f"| {errors.total / errors.count:.4f} | {errors.wrong:,} | {errors.zeros:,} |", flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", nargs="?", type=int, default=1, help="every how many inputs, a power of two (1)")
    step = parser.parse_args().step
    if step < 1 or step & (step - 1) or step > 2**12:
        parser.error(f"step must be a power of two from 1 to 4096, got {step}")
    print("| type | pass | library | largest, ULP | at | mean | wrong | 0 for |\n" + "| --- " * 8 + "|", flush=True)
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
            for key, errors in found.items():
                totals[key] = totals.get(key, Errors()).merged(errors)
            bar.update()
    for operation, library in sorted(totals):
        show("float32", operation, library, totals[operation, library])


if __name__ == "__main__":
    main()
