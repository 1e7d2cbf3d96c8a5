#!/usr/bin/env bash
# Builds with GCC and with Clang, with OpenMP and without, taking warnings for errors, and tests the values of each build.
# Some minutes. Its exit status is 0 only if all is well; a compiler that is not installed is named.
#
#     bash tools/check_compilers.sh [the compilers: gcc clang, if not given]
#
# Run it where `pip install ".[test]"` was run. C11 and no more: tests/test_portable_c.py.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$work/src
[[ $# -gt 0 ]] || set -- gcc clang
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$work"
cd "$work"
built=0
for compiler in "$@"; do
    if ! command -v "$compiler" > /dev/null; then
        echo "$compiler: not installed, not checked"
        continue
    fi
    for openmp in 1 0; do
        echo "== $compiler, OpenMP: $openmp"
        CC="$compiler -Wall -Wextra -Werror" LDSHARED="$compiler -shared" FASTACT_OPENMP=$openmp \
            python setup.py -q build_ext --inplace 2> build.log || { cat build.log; exit 1; }
        if [[ $openmp == 1 ]] && grep "OpenMP was not found" build.log; then exit 1; fi
        python -m pytest -q -p no:cacheprovider tests/test_forward.py tests/test_backward.py tests/test_special_values.py
        built=$((built + 1))
    done
done
[[ $built -gt 0 ]]
