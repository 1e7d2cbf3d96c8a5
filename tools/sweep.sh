#!/usr/bin/env bash
# The largest errors of the kernels, at every instruction set that this processor runs: builds a sweep into a temporary
# folder and runs it. Its exit status is 0 only if every bound holds. Needs GCC; the sweeps' sources say what they print.
#
#     bash tools/sweep.sh float32 [step: 1, the default, for all 2^32 inputs, 256 for every 256th, powers of 2 to 65536]
#     bash tools/sweep.sh float64 [points a set: 400000]
set -euo pipefail
cd "$(dirname "$0")/.."
number=${2:-1}
case "${1:-} $number" in
    *" 0"* | *" "*[!0-9]*) source= ;;
    float32*) source=tools/sweep_float32.c; ((number <= 65536 && (number & (number - 1)) == 0)) || source= ;;
    float64*) source=tools/accuracy_float64.c ;;
    *) source= ;;
esac
if [ -z "$source" ]; then
    echo "tools/sweep.sh: got \"$*\"; wanted one of these:" >&2
    sed -n '2,/^set/{/^#/p}' tools/sweep.sh >&2
    exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
simd=src/fastact/simd
"${CC:-gcc}" -O3 -std=gnu11 -ffp-contract=off -fno-math-errno -fopenmp -I$simd $source $simd/target_*.c $simd/dispatch.c \
    -lquadmath -lm -o "$work/sweep"
"$work/sweep" "${@:2}"
