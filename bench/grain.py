"""From how many elements on a second thread pays: the measurement behind the grains of src/fastact/simd/target_*.c.

    python bench/grain.py

For each instruction set, pass and type: the nanoseconds that an element takes on one thread (64 Ki elements, with
`out=`); how many elements 20 microseconds are; and, for the smallest array that is given to two threads, the time on
two over that on one, of calls that follow one another (the best) and of calls after a pause of 20 ms (the median). A
team whose threads are awake starts in one or two microseconds; after a pause they sleep, and waking one takes 30 to
100. (Linux 6.18, in a virtual machine of two processors, woke it on the processor of the thread that waited for it, and
let it run after 4 to 8 ms; no grain helps there.) Two minutes on a quiet machine with two processors.
"""

import argparse
import os
import subprocess
import sys
import time
from functools import partial

import numpy as np

import fastact
from fastact import kernels
from fastact.benchmarks.cases import KI, Case, arrays, format_size
from fastact.benchmarks.peers import OPERATIONS, empty

WORK = 20e-6  # seconds worth a thread of their own
PAUSE = 0.02  # seconds after which OpenMP's threads sleep
COLUMNS = ("level", "pass", "type", "ns", "20 µs", "grain", "two threads over one", "after a pause")


def call_of(operation, dtype, size):
    """Return a call without arguments."""
    inputs = arrays(Case("", operation, dtype, "into", size, "contiguous", 1, ""))
    return partial(getattr(fastact, operation), *inputs, out=empty(size, dtype))


def seconds(call, repeats, pause=0.0):
    """Return the best time of calls that follow one another, or the median of those after a pause."""
    times = []
    for _ in range(repeats):
        time.sleep(pause)
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) if pause else min(times)


def ratio(call, repeats, pause=0.0):
    """Return the time on two threads over that on one, measured in turn."""
    times = {1: [], 2: []}
    for _ in range(3):
        for threads in times:
            with fastact.num_threads(threads):
                call()
                times[threads].append(seconds(call, repeats, pause))
    return float(np.median(times[2]) / np.median(times[1]))


def measure(repeats):
    """Print a row for each pass and type at the instruction set in use."""
    for operation in OPERATIONS:
        for dtype in ("float32", "float64"):
            with fastact.num_threads(1):
                each = seconds(call_of(operation, dtype, 64 * KI), 20 * repeats) / (64 * KI)
            grain = kernels.grain(operation, dtype)
            call = call_of(operation, dtype, 2 * grain)
            row = [fastact.get_isa(), operation, dtype, f"{each * 1e9:.3f}", f"{WORK / each / KI:.1f} Ki"]
            row += [format_size(grain), f"{ratio(call, 20 * repeats):.2f}", f"{ratio(call, repeats, PAUSE):.2f}"]
            print(f"| {' | '.join(row)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10, help="calls after a pause; 20 times as many without (10)")
    parser.add_argument("--one", action="store_true", help="only the instruction set in use, without a heading")
    options = parser.parse_args()
    if options.one:
        measure(options.repeats)
        return
    print(f"| {' | '.join(COLUMNS)} |\n{'| --- ' * len(COLUMNS)}|", flush=True)
    for level in fastact.available_isas():
        command = [sys.executable, __file__, "--one", f"--repeats={options.repeats}"]
        subprocess.run(command, env=os.environ | {"FASTACT_ISA": level}, check=True)


if __name__ == "__main__":
    main()
