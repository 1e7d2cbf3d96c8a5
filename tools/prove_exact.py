"""Prove fastact.exact: all 2^32 float32 inputs of each function at every instruction set against a reference.

    python tools/prove_exact.py              an hour or less on two cores; interrupted, it goes on where it was
    python tools/prove_exact.py --digest     print the digest of the kernels' source, and nothing else

The reference owes nothing to the kernels: the C library's float64 functions where they decide to which float32 the
exact value rounds, 113 bits (libquadmath) where they do not, and mpmath within 2^-58 of the middle between two floats.
What came out goes into src/fastact/proof.json: how many inputs each level rounds wrongly, how many needed which
arithmetic, a CRC-32 of the results for each 2^24 inputs, the compiler, and a digest of the source and its constants.
tests/test_exact.py fails when that source is no longer the one proved. tools/publish_digests.py then adds what else
`python -m fastact verify` compares with.
Exit status 1 when anything was rounded wrongly; then nothing is written. Needs GCC and mpmath.
"""

import argparse
import concurrent.futures
import ctypes
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import mpmath
import numpy as np

from fastact.nn.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
SIMD = ROOT / "src/fastact/simd"
RECORD = ROOT / "src/fastact/proof.json"
UNFINISHED = ROOT / "build/prove_exact.json"  # what is done of a run that was interrupted
# what the exact passes' values depend on
SOURCES = ["exact.inc", "formulas_exact.h", "constants_exact.h", "formulas.h", "formulas_f32.h", "formulas_f64.h",
           "vector.h", "vector_avx2.h", "vector_avx512.h", "vector_neon.h", "vector_portable.h"]  # fmt: skip
SEGMENT, CHUNK = 2**24, 2**20
MOST_WRONG = 16  # inputs shown

PASSES = {
    "exact_sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "exact_sigmoid_derivative": lambda x: 1 / (2 + 2 * mpmath.cosh(x)),
    "exact_tanh": mpmath.tanh,
    "exact_tanh_derivative": lambda x: 1 / mpmath.cosh(x) ** 2,
}


def source_digest():
    """Return the SHA-256 of the kernels' source, comments and white space left out."""
    digest = hashlib.sha256()
    for name in SOURCES:
        text = re.sub(r"/\*.*?\*/", " ", (SIMD / name).read_text(encoding="utf-8"), flags=re.DOTALL)
        digest.update(" ".join(text.replace("\\\n", " ").split()).encode())
    return digest.hexdigest()


def compiler():
    return os.environ.get("CC", "gcc")


def build(folder):
    """Compile kernels and reference as setup.py compiles kernels; return the library."""
    path = Path(folder, "prove_exact.so")
    sources = [ROOT / "tools/prove_exact.c", *sorted(SIMD.glob("*.c"))]
    flags = ["-O3", "-std=gnu11", "-ffp-contract=off", "-shared", "-fPIC", f"-I{SIMD}"]
    subprocess.run([compiler(), *flags, *sources, "-lquadmath", "-lm", "-o", path], check=True)
    library = ctypes.CDLL(path)
    library.reference.restype = library.compare.restype = ctypes.c_long
    library.level_name.restype = ctypes.c_char_p
    return library


def address(array):
    return ctypes.c_void_p(array.ctypes.data)


def rounded(name, bits):
    """Return the float32 that is nearest to the exact value, by as many digits as that takes."""
    x = mpmath.mpf(float(np.uint32(bits).view(np.float32)))
    for digits in (60, 120, 240, 480):
        with mpmath.workdps(digits):
            exact = PASSES[name](x)
            error = exact * mpmath.mpf(10) ** (5 - digits)
            low, high = (np.float32(float_near(exact + sign * error)) for sign in (-1, 1))
        if low == high:
            return low
    raise ArithmeticError(f"{name}({x}) is too near to the middle between two floats")


def float_near(value):
    """Return a float64 on the same side of every middle between two float32 numbers: rounded to odd."""
    mantissa, exponent = mpmath.frexp(value)
    scaled = mantissa * 2**40
    whole = int(mpmath.floor(scaled))
    return float(np.ldexp(float(whole | (whole != scaled)), int(exponent) - 40))


def examine(library, number, name, segment):
    """Return what one segment shows, ready for JSON."""
    wanted, x, got = (np.empty(CHUNK, np.float32) for _ in range(3))
    undecided, wrong = np.empty(CHUNK, np.uint32), np.empty(MOST_WRONG, np.uint32)
    levels = level_names(library)
    found = {"crc32": 0, "by_mpmath": 0, "wrong": dict.fromkeys(levels, 0), "inputs": {level: [] for level in levels}}
    for first in range(segment * SEGMENT, (segment + 1) * SEGMENT, CHUNK):
        start, size = ctypes.c_uint32(first), ctypes.c_long(CHUNK)
        count = library.reference(number, start, size, address(wanted), address(undecided))
        for bits in undecided[:count]:
            wanted[int(bits) - first] = rounded(name, bits)
        found["by_mpmath"] += count
        found["crc32"] = zlib.crc32(wanted, found["crc32"])
        for level, level_name in enumerate(levels):
            buffers = address(wanted), address(x), address(got), address(wrong)
            count = library.compare(number, level, start, size, *buffers, ctypes.c_long(MOST_WRONG))
            found["wrong"][level_name] += count
            found["inputs"][level_name] += wrong[: min(count, MOST_WRONG)].tolist()
    return found


def level_names(library):
    names = []
    while name := library.level_name(len(names)):
        names.append(name.decode())
    return names


def unfinished(source):
    """Return the segments that an interrupted run of the same source has done."""
    try:
        state = json.loads(UNFINISHED.read_text())
    except FileNotFoundError:
        return {}
    return state["done"] if state["source"] == source else {}


def run(library, source):
    """Examine every segment that is not done; return what all show, by pass and segment."""
    done = unfinished(source)
    work = [(name, segment) for name in PASSES for segment in range(2**32 // SEGMENT)
            if str(segment) not in done.setdefault(name, {})]  # fmt: skip
    UNFINISHED.parent.mkdir(exist_ok=True)
    with (
        Progress(len(work), "proof") as bar,
        concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,
    ):
        tasks = {pool.submit(examine, library, library.pass_number(name.encode()), name, segment): (name, segment)
                 for name, segment in work}  # fmt: skip
        try:
            for task in concurrent.futures.as_completed(tasks):
                name, segment = tasks[task]
                done[name][str(segment)] = task.result()
                partial = UNFINISHED.with_suffix(".new")
                partial.write_text(json.dumps({"source": source, "done": done}))
                partial.replace(UNFINISHED)
                bar.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digest", action="store_true", help="print the digest of the source and stop")
    if parser.parse_args().digest:
        print(source_digest())
        return 0
    source = source_digest()
    with tempfile.TemporaryDirectory() as folder:
        library = build(folder)
        levels = level_names(library)
        done = run(library, source)
    record = {
        "source": source,
        "compiler": subprocess.run([compiler(), "--version"], capture_output=True, text=True).stdout.splitlines()[0],
        "machine": platform.machine(),
        "segment": SEGMENT,
        "passes": {},
        "digests": {},
    }
    print(f"{'pass':26}{'level':10}{'wrong of 2^32':>14}")
    broken = 0
    for name in PASSES:
        segments = [done[name][str(segment)] for segment in range(2**32 // SEGMENT)]
        wrong = {level: sum(s["wrong"][level] for s in segments) for level in levels}
        for level, count in wrong.items():
            inputs = [bits for s in segments for bits in s["inputs"][level]][:MOST_WRONG]
            values = ", ".join(float(np.uint32(bits).view(np.float32)).hex() for bits in inputs)
            print(f"{name:26}{level:10}{count:14,} {values}")
        broken |= any(wrong.values())
        by_mpmath = sum(s["by_mpmath"] for s in segments)
        record["passes"][name] = {"inputs": 2**32, "wrong": wrong, "by_mpmath": by_mpmath}
        record["digests"][name] = {"any": " ".join(f"{s['crc32']:08x}" for s in segments)}
    if broken:
        return 1
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
    UNFINISHED.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
