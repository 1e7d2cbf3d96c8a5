"""``python -m fastact verify``: the bits of all 2^32 float32 inputs on this machine, against the published ones."""

import concurrent.futures
import contextlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, localcontext
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

import fastact
from fastact import _reference, exact, kernels
from fastact._commands import CommandError, names
from fastact.nn.progress import Progress

DESCRIPTION = """\
Run all 2^32 float32 inputs of each function of fastact.exact, at every instruction set that this processor has, and
compare the results with the digests that were published with the proof of their correct rounding (CRC-32, a segment
of 2^24 inputs each). Two or three minutes on two cores.
--plain does the same for the twelve passes of fastact itself (a backward pass takes every y, each with one
pseudo-random dy). The exit status is 0 only if every result agrees."""

EXACT = ("sigmoid", "sigmoid_derivative", "tanh", "tanh_derivative")
PLAIN = tuple(_reference.__all__)
SEGMENT, CHUNK = 2**24, 2**16  # a chunk's inputs and results fit a second-level cache
QUICK_STEP = 4097  # odd, so that every bit of an input changes; a million inputs
# Zero, the ends of the subnormal and the normal numbers, 1, infinity, signalling and quiet NaNs, and the input whose
# sigmoid lies 2^-55 from the middle between two floats (simd/exact.inc); each is tried with either sign.
SPECIAL = (0, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FBFFFFF, 0x7FC00000, 0x7FFFFFFF,
           0x3A928601)
SEGMENTS = range(2**32 // SEGMENT)
NOT_PUBLISHED = "no digest is published for this level"
Part = int | np.ndarray  # inputs: the number of a segment, or their bits
# the plain passes give the same bits wherever there is a fused multiply-add; x86-64's portable C rounds otherwise
KINDS = {"avx512": "fma", "avx2": "fma", "neon": "fma", "baseline": "baseline"}


class Check(NamedTuple):
    """One function at one instruction set."""

    name: str  # as in the published digests: exact_sigmoid, sigmoid, ...
    level: str

    @property
    def kind(self) -> str:
        """Which of the function's digests is this level's."""
        return "any" if self.name.startswith("exact_") else KINDS.get(self.level, self.level)

    @property
    def function(self) -> Callable[..., Any]:
        if self.name.startswith("exact_"):
            return getattr(exact, self.name.removeprefix("exact_"))
        return getattr(fastact, self.name)


def add_arguments(parser: Any) -> None:
    """Declare the options of the command."""
    parser.add_argument("--plain", action="store_true", help="the twelve passes of fastact, too: some minutes more")
    parser.add_argument("--quick", action="store_true", help="a million inputs of each instead: a second or two")
    isas = fastact.available_isas()
    parser.add_argument(
        "--isa", type=names(isas), default="all", metavar="NAMES",
        help=f"instruction sets, with commas between them: {','.join(isas)} (all)")


def run(arguments: Any) -> None:
    """Compare, print a table, and raise `CommandError` where anything differs or cannot be compared."""
    published = json.loads(resources.files("fastact").joinpath("proof.json").read_text("utf-8"))
    functions = [f"exact_{name}" for name in EXACT] + (list(PLAIN) if arguments.plain else [])
    checks = [Check(name, level) for level in arguments.isa for name in functions]
    differences = missing = 0
    print(f"{'function':26}{'level':10}result", flush=True)
    for check, result in verify(checks, published, arguments.quick):
        differences += result.startswith("DIFFERS")
        missing += result == NOT_PUBLISHED
        print(f"{check.name:26}{check.level:10}{result}", flush=True)
    if differences:
        raise CommandError(f"{differences} of the functions give other bits than the published ones")
    if missing:
        raise CommandError(f"{missing} of the functions could not be compared: there is no digest of them")


def verify(checks: list[Check], published: dict[str, Any], quick: bool) -> Iterator[tuple[Check, str]]:
    """Yield each check with what came out, in words."""
    parts = [sample(published)] if quick else SEGMENTS
    digests_of = published.get("quick" if quick else "digests", {})
    with Progress(len(checks) * len(parts), "verify") as bar:
        for check in checks:
            wanted = digests_of.get(check.name, {}).get(check.kind, "").split()
            if not wanted:
                bar.update(len(parts))
                yield check, NOT_PUBLISHED
                continue
            got = digests(check, parts, bar)
            different = next((k for k in range(len(parts)) if got[k] != wanted[k]), None)
            yield check, "agrees" if different is None else difference(check, parts[different], wanted[different])


def digests(check: Check, parts: Sequence[Part], bar: Progress | None = None) -> list[str]:
    """Return the CRC-32 of a function's results on each part of the inputs."""

    def digest_of(part: Part) -> str:
        digest = 0
        for _, results in outcomes(check, part):
            digest = zlib.crc32(results.data, digest)
        return f"{digest:08x}"

    found = []
    with at_level(check.level), concurrent.futures.ThreadPoolExecutor(fastact.get_num_threads()) as pool:
        for digest in pool.map(digest_of, parts):
            found.append(digest)
            if bar:
                bar.update()
    return found


@contextlib.contextmanager
def at_level(level: str) -> Iterator[None]:
    """Within the block, compute at another instruction set."""
    in_use = fastact.get_isa()
    kernels.set_isa(level)
    try:
        yield
    finally:
        kernels.set_isa(in_use)


def sample(published: dict[str, Any]) -> Part:
    """Return the inputs of ``--quick``: a million, special values, and those that are hardest to round."""
    hardest = [bits for found in published.get("hardest", {}).values() for bits in found]
    bits = [*range(0, 2**32, QUICK_STEP), *SPECIAL, *(bits | 2**31 for bits in SPECIAL), *hardest]
    return np.array(bits, np.uint32)


def chunks(part: Part) -> Iterator[np.ndarray]:
    """Yield the bits of a part's inputs, in one array that is written anew each time, or in views."""
    if isinstance(part, np.ndarray):
        for first in range(0, part.size, CHUNK):
            yield part[first : first + CHUNK]
        return
    bits = np.arange(CHUNK, dtype=np.uint32) + np.uint32(part * SEGMENT)
    for _ in range(SEGMENT // CHUNK):
        yield bits
        bits += np.uint32(CHUNK)


def outcomes(check: Check, part: Part) -> Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]:
    """Yield a part's inputs and a function's results, a chunk at a time, in arrays that are written anew each time."""
    out = np.empty(CHUNK, np.float32)
    for bits in chunks(part):
        x = bits.view(np.float32)
        inputs = (_scrambled(bits).view(np.float32), x) if check.name.endswith("_backward") else (x,)
        with fastact.num_threads(1):
            results = check.function(*inputs, out=out[: x.size])
        yield inputs, results


def _scrambled(bits: np.ndarray) -> np.ndarray:
    """Map all 32-bit patterns one to one to others that look random: the finalizer of MurmurHash3."""
    bits = (bits ^ bits >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    bits = (bits ^ bits >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    return bits ^ bits >> np.uint32(16)


def difference(check: Check, part: Part, digest: str) -> str:
    """Say which input of a part is the first whose result is not the published one.

    What was wanted comes from the first instruction set whose results on this part have the published digest; where
    none has, from the formula, if that decides all bits but those of a NaN.
    """
    if isinstance(part, np.ndarray):
        where = "the sample"
    else:
        first = np.uint32(part * SEGMENT).view(np.float32)
        where = f"the {SEGMENT:,} inputs from {_shown(first)} on"
    same_kind = (Check(check.name, level) for level in fastact.available_isas())
    right = next((one for one in same_kind if one.kind == check.kind and digests(one, [part]) == [digest]), None)
    if right is not None:
        with at_level(right.level):
            published = [results.copy() for _, results in outcomes(right, part)]
    elif not (check.name.startswith("exact_") or "relu" in check.name):
        return f"DIFFERS in {where}; no level here gives the published bits, to tell in which"
    with at_level(check.level):
        for number, (inputs, got) in enumerate(outcomes(check, part)):
            wanted = by_formula(check.name, inputs) if right is None else published[number]
            wrong = got.view(np.uint32) != wanted.view(np.uint32)
            if right is None:
                wrong &= ~(np.isnan(got) & np.isnan(wanted))
            if wrong.any():
                i = wrong.argmax()
                at = " and ".join(_shown(array[i]) for array in inputs)
                return f"DIFFERS first at {at}: got {_shown(got[i])}, wanted {_shown(wanted[i])}"
    return f"DIFFERS in {where}, but {'only in the bits of a NaN' if right is None else 'not when it is run again'}"


def _shown(x: np.float32) -> str:
    return f"nan ({x.view(np.uint32):#x})" if np.isnan(x) else f"{x!s} ({float(x).hex()})"


def by_formula(name: str, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the results of an exact function or a ReLU without the kernels, but for the bits of a NaN."""
    if name.startswith("exact_"):
        return nearest(name.removeprefix("exact_"), *inputs)
    slope = (np.float32(0.01),) if name.startswith("leaky_relu") else ()
    with np.errstate(all="ignore"):
        return getattr(_reference, name)(*inputs, *slope).astype(np.float32)


def nearest(name: str, x: np.ndarray) -> np.ndarray:
    """Return the correctly rounded values without the kernels: by float64, or by decimals where that does not decide.

    Parameters
    ----------
    name : str
        One of `EXACT`.
    x : ndarray of float32
    """
    with np.errstate(all="ignore"):
        value = getattr(_reference, name)(x.astype(np.float64))
        low, high = ((value * (1 + sign * 2.0**-45)).astype(np.float32) for sign in (-1, 1))
    for i in np.flatnonzero(~((low == high) | np.isnan(value))):
        low[i] = _nearest_by_decimals(name, float(x[i]))
    return low


def _nearest_by_decimals(name: str, x: float) -> np.float32:
    with localcontext() as context:
        context.prec = 150
        e = (-abs(Decimal(x)) * (2 if name.startswith("tanh") else 1)).exp()
        if name == "sigmoid":
            value = (e if x < 0 else 1) / (1 + e)
        elif name == "tanh":
            value = ((1 - e) / (1 + e)).copy_sign(Decimal(x))
        else:
            value = (4 if name == "tanh_derivative" else 1) * e / (1 + e) ** 2
        near = np.float32(float(value))
        around = [near, np.nextafter(near, np.float32(-np.inf)), np.nextafter(near, np.float32(np.inf))]
        return min(around, key=lambda candidate: abs(Decimal(float(candidate)) - value))
