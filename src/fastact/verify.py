"""``python -m fastact verify``: the bits of all 2^32 float32 inputs on this machine, against the published ones."""

import concurrent.futures
import json
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

import fastact
from fastact import _reference, exact, kernels
from fastact._commands import CommandError
from fastact.nn.progress import Progress

DESCRIPTION = """\
Run all 2^32 float32 inputs of each function of fastact.exact, at every instruction set that this processor has, and
compare the results with the digests that were published with the proof of their correct rounding (CRC-32, a segment
of 2^24 inputs each). Some minutes on two cores; the portable C takes most of them. --plain does the same for the
twelve passes of fastact itself (a backward pass goes through all y, each with a dy of bits as good as random).
The exit status is 0 only if every result agrees."""

EXACT = ("sigmoid", "sigmoid_derivative", "tanh", "tanh_derivative")
PLAIN = tuple(exact.__all__)
SEGMENT, CHUNK = 2**24, 2**18
QUICK_STEP = 4097  # odd, so that every bit of an input changes; a million inputs
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


class Outcome(NamedTuple):
    """What came out of a check."""

    check: Check
    published: bool  # whether there is a digest to compare with
    segment: int | None  # the first that differs


def add_arguments(parser: Any) -> None:
    """Declare the options of the command."""
    parser.add_argument("--plain", action="store_true", help="the twelve passes of fastact, too: some minutes more")
    parser.add_argument("--quick", action="store_true", help="a million inputs of each instead: a second or two")


def run(arguments: Any) -> None:
    """Compare, print a table, and raise `CommandError` where anything differs or cannot be compared."""
    names = [f"exact_{name}" for name in EXACT] + (list(PLAIN) if arguments.plain else [])
    published = json.loads(resources.files("fastact").joinpath("proof.json").read_text("utf-8"))
    differences = missing = 0
    print(f"{'function':26}{'level':10}result", flush=True)
    for outcome in verify(names, published.get("quick" if arguments.quick else "digests", {}), arguments.quick):
        differences += outcome.segment is not None
        missing += not outcome.published
        print(f"{outcome.check.name:26}{outcome.check.level:10}{_words(outcome, arguments.quick)}", flush=True)
    if differences:
        raise CommandError(f"{differences} of the functions give other bits than the published ones")
    if missing:
        raise CommandError(f"{missing} of the functions could not be compared: there is no digest of them")


def verify(names: list[str], published: dict[str, Any], quick: bool) -> Iterator[Outcome]:
    """Yield the outcome of every function at every level of this machine."""
    checks = [Check(name, level) for level in fastact.available_isas() for name in names]
    in_use = fastact.get_isa()
    try:
        with Progress(len(checks) * (1 if quick else 2**32 // SEGMENT), "verify") as bar:
            for check in checks:
                wanted = published.get(check.name, {}).get(check.kind, "").split()
                if not wanted:
                    yield Outcome(check, False, None)
                    continue
                kernels.set_isa(check.level)
                got = digests(check, quick, bar)
                different = (segment for segment in range(len(got)) if got[segment] != wanted[segment])
                yield Outcome(check, True, next(different, None))
    finally:
        kernels.set_isa(in_use)


def digests(check: Check, quick: bool, bar: Progress) -> list[str]:
    """Return the CRC-32 of each segment's results at the instruction set in use; if `quick`, of the sample's."""
    if quick:
        bar.update()
        return [f"{zlib.crc32(_results(check, _sample())):08x}"]
    with concurrent.futures.ThreadPoolExecutor(fastact.get_num_threads()) as pool:
        found = []
        for digest in pool.map(lambda segment: _digest(check, segment), range(2**32 // SEGMENT)):
            found.append(digest)
            bar.update()
        return found


def _digest(check: Check, segment: int) -> str:
    digest = 0
    for bits in _chunks(segment):
        digest = zlib.crc32(_results(check, bits), digest)
    return f"{digest:08x}"


def _chunks(segment: int) -> Iterator[np.ndarray]:
    """Yield the bits of a segment's inputs."""
    for first in range(segment * SEGMENT, (segment + 1) * SEGMENT, CHUNK):
        yield np.arange(first, first + CHUNK, dtype=np.uint64).astype(np.uint32)


def _sample() -> np.ndarray:
    """Return the bits of the inputs of `--quick`."""
    return np.arange(0, 2**32, QUICK_STEP, dtype=np.uint64).astype(np.uint32)


def _results(check: Check, bits: np.ndarray) -> np.ndarray:
    """Return what a function gives for inputs of these bits."""
    x = bits.view(np.float32)
    arrays = (_mixed(bits).view(np.float32), x) if check.name.endswith("_backward") else (x,)
    with fastact.num_threads(1):
        return check.function(*arrays, out=np.empty_like(x))


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Return other bits for bits, one to one: the last steps of the hash murmur3."""
    bits = (bits ^ bits >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    bits = (bits ^ bits >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    return bits ^ bits >> np.uint32(16)


def _words(outcome: Outcome, quick: bool) -> str:
    """Return the last column of the table."""
    check, published, segment = outcome
    if not published:
        return "no digest is published for this level"
    if segment is None:
        return "agrees"
    samples = [_sample()] if quick else _chunks(segment)
    if not check.name.startswith("exact_"):
        where = "the sample" if quick else f"the {SEGMENT:,} inputs from {_shown(next(samples).view(np.float32)[0])} on"
        return f"DIFFERS in {where}"
    for bits in samples:
        x = bits.view(np.float32)
        got, wanted = _results(check, bits), nearest(check.name.removeprefix("exact_"), x)
        wrong = np.flatnonzero(~((got == wanted) | (np.isnan(got) & np.isnan(wanted))))
        if wrong.size:
            i = wrong[0]
            return f"DIFFERS first at {_shown(x[i])}: got {_shown(got[i])}, wanted {_shown(wanted[i])}"
    return "DIFFERS in the sign of a zero or the payload of a NaN"


def _shown(x: np.float32) -> str:
    return f"{x!s} ({float(x).hex()})"


def nearest(name: str, x: np.ndarray) -> np.ndarray:
    """Return the correctly rounded values without the kernels: from float64, and where that does not decide, decimals.

    Parameters
    ----------
    name : str
        One of `EXACT`.
    x : ndarray of float32
    """
    with np.errstate(all="ignore"):
        value = getattr(_reference, name)(x.astype(np.float64))
        low, high = (np.float32(value * (1 + sign * 2.0**-45)) for sign in (-1, 1))
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
