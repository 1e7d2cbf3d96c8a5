"""Prove fastact.exact: all 2^32 float32 inputs of each function at every instruction set against a reference.

    python tools/prove_exact.py              a quarter of an hour on two cores; interrupted, it goes on where it was
    python tools/prove_exact.py --digest     print the digest of the kernels' source, and nothing else

The reference owes nothing to the kernels: the C library's float64 functions where they decide to which float32 the
exact value rounds, 113 bits (libquadmath) where they do not, and mpmath within 2^-58 of the middle between two floats.
The portable C is tried twice on x86-64: as built there, and as on other processors, with a fused multiply-add.

What came out goes into src/fastact/proof.json: how many inputs each level rounds wrongly, which are the hardest, a
CRC-32 of the results for each 2^24 inputs, the compiler, and a digest of source, constants and flags, for which
tests/test_exact.py looks. Then comes what else `python -m fastact verify` compares with, from the package, which must
have been built of this source: digests of the plain passes, each taken at the first instruction set that has its bits,
and those of the samples of --quick.
Exit status 1 when anything was rounded wrongly; then nothing is written. Needs GCC and mpmath.
"""

import argparse
import ast
import concurrent.futures
import ctypes
import hashlib
import heapq
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

import fastact
from fastact import verify
from fastact.nn.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
SIMD = ROOT / "src/fastact/simd"
RECORD = ROOT / "src/fastact/proof.json"
UNFINISHED = ROOT / "build/prove_exact.json"  # what is done of a run that was interrupted
OTHERS = {"fused.inc", "strided.h"}  # of simd/, without a say in the passes' values: fastact.nn's, copies of elements
SEGMENT, CHUNK = verify.SEGMENT, 2**20
MOST_WRONG = 16  # inputs shown
HARDEST = 64  # inputs kept of each function

PASSES = {
    "exact_sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "exact_sigmoid_derivative": lambda x: 1 / (2 + 2 * mpmath.cosh(x)),
    "exact_tanh": mpmath.tanh,
    "exact_tanh_derivative": lambda x: 1 / mpmath.cosh(x) ** 2,
}


def source_digest():
    """Return the SHA-256 of the kernels' source, comments and white space left out, and of the compiler's flags."""
    digest = hashlib.sha256(" ".join(flags()).encode())
    for path in sorted(SIMD.iterdir()):
        if path.suffix in (".c", ".h", ".inc") and path.name not in OTHERS:
            text = re.sub(r"/\*.*?\*/", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
            digest.update(" ".join(text.replace("\\\n", " ").split()).encode())
    return digest.hexdigest()


def flags():
    """Return the flags that setup.py gives to the compiler."""
    lists = {}
    for statement in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id in ("EXACT", "COMPILE"):
            lists[statement.targets[0].id] = ast.literal_eval(statement.value)
    return [*lists["EXACT"], *lists["COMPILE"]]


def compiler():
    """Return the compiler's command and what it says of its version."""
    command = os.environ.get("CC", "gcc")
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    return command, version.splitlines()[0]


def build(folder):
    """Compile kernels and reference as setup.py compiles kernels; return the library."""
    path = Path(folder, "prove_exact.so")
    command = [compiler()[0], *flags(), "-fvisibility=default", "-fPIC", f"-I{SIMD}"]
    objects = []
    if platform.machine() == "x86_64":
        objects = [Path(folder, "portable.o")]
        renamed = ["-mfma", "-Dbaseline=portable", SIMD / "target_portable.c"]
        subprocess.run([*command, *renamed, "-c", "-o", *objects], check=True)
    sources = [ROOT / "tools/prove_exact.c", *sorted(SIMD.glob("*.c")), *objects]
    subprocess.run([*command, "-shared", *sources, "-lquadmath", "-lm", "-o", path], check=True)
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
    hard, wrong = np.empty(CHUNK, np.uint32), np.empty(MOST_WRONG, np.uint32)
    distance = np.empty(CHUNK)
    levels = level_names(library)
    found = {"crc32": 0, "by_mpmath": 0, "hardest": [], "wrong": dict.fromkeys(levels, 0),
             "inputs": {level: [] for level in levels}}  # fmt: skip
    for first in range(segment * SEGMENT, (segment + 1) * SEGMENT, CHUNK):
        start, size = ctypes.c_uint32(first), ctypes.c_long(CHUNK)
        count = library.reference(number, start, size, address(wanted), address(hard), address(distance))
        undecided = hard[:count][distance[:count] == 0]
        for bits in undecided:
            wanted[int(bits) - first] = rounded(name, bits)
        found["by_mpmath"] += undecided.size
        pairs = zip(distance[:count].tolist(), hard[:count].tolist(), strict=True)
        found["hardest"] = heapq.nsmallest(HARDEST, [*found["hardest"], *map(list, pairs)])
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


def unfinished(of):
    """Return the segments that an interrupted run of the same proof has done."""
    try:
        state = json.loads(UNFINISHED.read_text())
    except FileNotFoundError:
        return {}
    return state["done"] if state["of"] == of else {}


def run(library, of):
    """Examine every segment that is not done; return what all show, by pass and segment."""
    done = unfinished(of)
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
                partial.write_text(json.dumps({"of": of, "done": done}))
                partial.replace(UNFINISHED)
                bar.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return done


def prove(source):
    """Return the record of a proof; None, and a table of inputs, where it fails."""
    _, version = compiler()
    with tempfile.TemporaryDirectory() as folder:
        library = build(folder)
        levels = level_names(library)
        programs = [(ROOT / "tools" / name).read_text() for name in ("prove_exact.c", "prove_exact.py")]
        done = run(library, [source, version, levels, hashlib.sha256("".join(programs).encode()).hexdigest()])
    record = {
        "source": source,
        "compiler": version,
        "machine": platform.machine(),
        "segment": SEGMENT,
        "passes": {},
        "hardest": {},
        "digests": {},
    }
    print(f"{'pass':26}{'level':10}{'wrong of 2^32':>14}")
    broken = False
    for name in PASSES:
        segments = [done[name][str(segment)] for segment in range(2**32 // SEGMENT)]
        wrong = {level: sum(s["wrong"][level] for s in segments) for level in levels}
        for level, count in wrong.items():
            inputs = [bits for s in segments for bits in s["inputs"][level]][:MOST_WRONG]
            values = ", ".join(float(np.uint32(bits).view(np.float32)).hex() for bits in inputs)
            print(f"{name:26}{level:10}{count:14,} {values}")
        broken |= any(wrong.values())
        by_mpmath = sum(s["by_mpmath"] for s in segments)
        hardest = heapq.nsmallest(HARDEST, (pair for s in segments for pair in s["hardest"]))
        record["passes"][name] = {"inputs": 2**32, "wrong": wrong, "by_mpmath": by_mpmath}
        record["hardest"][name] = [bits for _, bits in hardest]
        record["digests"][name] = {"any": " ".join(f"{s['crc32']:08x}" for s in segments)}
    return None if broken else record


def publish(record):
    """Add the digests that are missing, each as soon as it is there."""
    names = (*(f"exact_{name}" for name in verify.EXACT), *verify.PLAIN)
    parts = {"quick": [verify.sample(record)], "digests": verify.SEGMENTS}
    wanted = {}  # the first level that has it
    for level in fastact.available_isas():
        for name in names:
            check = verify.Check(name, level)
            for part in parts:
                if check.kind not in record.setdefault(part, {}).get(name, {}):
                    wanted.setdefault((part, name, check.kind), check)
    with Progress(sum(len(parts[part]) for part, *_ in wanted), "digests") as bar:
        for (part, name, kind), check in wanted.items():
            record[part].setdefault(name, {})[kind] = " ".join(verify.digests(check, parts[part], bar))
            write(record)


def write(record):
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digest", action="store_true", help="print the digest of the source and stop")
    source = source_digest()
    if parser.parse_args().digest:
        print(source)
        return 0
    record = json.loads(RECORD.read_text())
    if (record["source"], record["compiler"]) != (source, compiler()[1]):
        record = prove(source)
        if record is None:
            return 1
        write(record)
        UNFINISHED.unlink()
    publish(record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
