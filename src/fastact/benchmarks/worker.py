"""A process that measures cases at one instruction set and number of threads, both set by its environment.

It reads a list of cases and the settings from standard input as JSON, and writes a line of JSON a case.
"""

import json
import os
import sys
import timeit

import numpy as np
from numpy._core import _multiarray_umath as umath  # type: ignore[attr-defined]  # private: the stubs leave it out

import fastact
from fastact.benchmarks import accuracy, networks, peers, yardsticks  # type: ignore[attr-defined]  # has no stub
from fastact.benchmarks.cases import KI, MI, Case, Settings, arrays, steady_output
from fastact.benchmarks.timing import Contestant, compare

PAUSE = 1e-2  # seconds; GNU's OpenMP keeps the idle threads of most libraries in a loop for 8 ms
BLAS_PAUSE = 0.15  # and OpenBLAS its own for more than 40: PyTorch's step took twice as long beside them


class Rejected(Exception):
    """fastact's own result is wrong."""


def measure(case, settings, libraries):
    """Return the row of a case as a dict (see `runner` for what is in it)."""
    if case.group == "accuracy":
        return {"errors": accuracy.largest_errors(libraries, case.operation, np.dtype(case.dtype), settings.points)}
    with np.errstate(all="ignore"):
        if case.is_network:
            contestants, wrong, limit = _network_contestants(case)
            pause = BLAS_PAUSE
        else:
            contestants, wrong, limit = _pass_contestants(case, libraries)
            pause = PAUSE
        ours, *others = contestants
        timed = compare(ours, [*others, limit] if limit else others, rounds=settings.rounds,
                        sample_seconds=settings.sample_seconds, pause=pause if case.threads > 1 else 0.0,
                        max_seconds=settings.max_seconds)  # fmt: skip
    times = {contestant.name: _entry(contestant, timed) for contestant in contestants}
    row = {"times": times, "wrong": wrong}
    if limit:
        row["limit"] = {"name": limit.name, **_entry(limit, timed)}
    return row


def _entry(contestant, timed):
    """Return what a row says of a contestant."""
    measurement = timed[contestant.name]
    return {
        "statement": contestant.statement,
        "seconds": measurement.seconds._asdict(),
        "ratio": measurement.ratio._asdict() if measurement.ratio else None,
        "rounds": measurement.rounds,
    }


def _network_contestants(case):
    """Return what `_pass_contestants` does, for a layer or a training step."""
    if case.group == "dense":
        in_features, out_features = map(int, case.layout.split("-"))
        ours, others, wrong = networks.dense_forward(in_features, out_features, case.size, case.operation, case.threads)
        limit = None
    else:
        ours, others, wrong = networks.training_step(case.layout, case.threads)
        limit = networks.matrix_products(case.layout)
    return [ours, *others], wrong, limit


def _pass_contestants(case, libraries):
    """Return the contestants that give the right result, ours first, why others do not take part, and the limit."""
    inputs = inputs_of(case)
    probe = probe_of(case, inputs)
    contestants, wrong = [], {}
    for library in libraries:
        if fault := library.fault(probe, case.mode):
            wrong[library.name] = fault
        elif contestant := library.contestant(inputs, case.mode):
            contestants.append(contestant)
    if "fastact" in wrong:
        raise Rejected(f"fastact {wrong['fastact']} in {case}")
    return contestants, wrong, _limit(case, inputs)


def inputs_of(case):
    """Return the arrays of a case and an output."""
    return peers.Inputs(case.operation, *arrays(case))


def probe_of(case, inputs):
    """Return the inputs on which results are checked: those that are timed, but others where they are fewer than 1 Ki,
    for a wrong slope does not show in one positive number, or where all y are the same."""
    if case.size >= KI and steady_output(case) is None:
        return inputs
    return inputs_of(case._replace(size=min(max(case.size, KI), MI), mode="into"))


def _limit(case, inputs):
    """Return the yardstick of a pass, if it has one: out of place in main memory the streaming copy, else the in-place
    scale pass.

    Both move two arrays; a backward pass moves three (see `report`).
    """
    if case.size < 64 * KI or case.layout != "contiguous" or case.mode == "new":  # below, the call takes the time
        return None
    x, out = peers.full(case.size, 1, case.dtype), inputs.out
    names = {"yardsticks": yardsticks, "x": x, "out": out, "threads": case.threads}
    if case.group in ("memory", "scaling") and case.mode == "into" and case.size >= 2**24:
        return Contestant("streaming copy", "yardsticks.stream_copy(x, out, threads)", names)
    return Contestant("scale pass", "yardsticks.scale(x, 1.0, threads)", names)


def environment(libraries, absent):
    """Return what the process found: versions, and the levels that libraries say they run at."""
    found = {
        "isa": fastact.get_isa(),
        "versions": {library.name: library.version for library in libraries},
        "absent": absent,
    }
    if "torch" in found["versions"]:
        import torch

        found["torch"] = torch.backends.cpu.get_cpu_capability()
    found["numpy_features"] = [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]
    found["gigaflops"] = _matrix_product_gigaflops()
    try:
        import threadpoolctl
    except ImportError:
        return found
    found["blas"] = [
        f"{library['internal_api']} {library['version']}, {library.get('architecture')} kernels"
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "blas" and "numpy" in library["filepath"]
    ]
    return found


def _matrix_product_gigaflops(size=1024):
    """Return the speed of NumPy's float32 matrix product: the roof of arithmetic in the roofline."""
    a = np.ones((size, size), np.float32)
    out = np.empty_like(a)
    return 2 * size**3 / min(timeit.repeat(lambda: np.matmul(a, a, out=out), number=1, repeat=7)) / 1e9


def main():
    """Measure what standard input asks for."""
    # the lines go to a copy of standard output: what libraries print must not get between them
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def write(message):
        print(json.dumps(message), file=lines, flush=True)

    request = json.load(sys.stdin)
    settings = Settings(**request["settings"])
    libraries, absent = peers.load(request["threads"], held=fastact.get_isa() != fastact.available_isas()[0])
    write({"environment": environment(libraries, absent)})
    for case in request["cases"]:
        case = Case(**case)
        write({"case": case._asdict(), **measure(case, settings, libraries)})


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
