#!/usr/bin/env bash
# Looks for memory errors, undefined behaviour and races; CONTRIBUTING.md says how long each takes.
#
#     bash tools/check_memory.sh asan|ubsan|valgrind|tsan [arguments for pytest instead of the usual ones]
#     bash tools/check_memory.sh fuzz-tiles|fuzz-python [seconds, 300 if not given]
#
# Run it where `pip install ".[test]"` was run; fuzz-python needs atheris as well. It builds into a temporary folder,
# and its exit status is 0 only if nothing was found.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1

# A copy of the checkout, built by this compiler with these flags; as CC they reach setup.py's OpenMP probe as well.
build() {
    git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$work"
    cd "$work"
    export PYTHONPATH="$work/src"
    CC="$*" LDSHARED="$* -shared" python setup.py -q build_ext --inplace 2> build.log || { cat build.log; exit 1; }
    if grep "OpenMP was not found" build.log; then exit 1; fi
}

# The suite; the first argument is what runs python. A sanitizer's report must not be captured: it ends the process.
suite() {
    local run=$1
    shift
    $run python -m pytest -q -p no:cacheprovider --capture=sys "$@"
}

# Leaks are not looked for: CPython and NumPy keep memory to the end of the process. What asks for more memory than there
# can be is to get NumPy's MemoryError. libstdc++ is loaded early because AddressSanitizer must find its __cxa_throw before
# PyTorch's libraries throw.
asan() {
    export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
    build gcc -g -fsanitize=address -fno-omit-frame-pointer
    suite "env LD_PRELOAD=$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libstdc++.so.6)" "$@"
}

ubsan() {
    build gcc -g -fsanitize=undefined -fno-sanitize-recover=all
    suite "env UBSAN_OPTIONS=print_stacktrace=1" "$@"
}

# valgrind has no AVX-512: the AVX2 kernels run, and the baseline. Its fused multiply-add gets the sign of zeros wrong,
# so the tests that are run compare no values. It takes some reads of CPython's and the C library's own for errors.
valgrind_() {
    build gcc -g
    local kind object
    for kind in Cond Value8 Addr8 Addr32; do
        for object in '*/libpython3*' '*/bin/python3*' '*/libc.so*' '*/ld-linux*'; do
            printf '{\n   not ours\n   Memcheck:%s\n   obj:%s\n}\n' "$kind" "$object"
        done
    done > not_ours.supp
    [[ $# -gt 0 ]] || set -- tests/test_special_values.py -k never_warns
    export PYTHONMALLOC=malloc
    local level
    for level in avx2 baseline; do
        FASTACT_ISA=$level suite "valgrind -q --error-exitcode=9 --suppressions=$PWD/not_ours.supp" "$@"
    done
}

# Only what is built here is instrumented: races of fastact with itself are seen, those inside CPython, NumPy or a BLAS
# are not. Accesses of more than 16 bytes are not seen either: the baseline's kernels run, the work being shared in the
# same way at every level. No OpenMP runtime takes part (tools/tsan_python.c says why), so none is checked.
tsan() {
    TSAN_OPTIONS=report_bugs=0 build clang -g -fsanitize=thread
    local flags
    read -ra flags < <(python -c "import sysconfig as s; c = s.get_config_var; print('-I' + s.get_path('include'), \
        '-L' + c('LIBDIR'), '-L' + c('LIBPL'), '-lpython' + c('LDVERSION'), c('LIBS'), '-Wl,-rpath,' + c('LIBDIR'))")
    clang -O1 -g -std=gnu11 -fsanitize=thread -rdynamic tools/tsan_python.c -o python-tsan "${flags[@]}" -lm
    export PYTHONPATH=$PYTHONPATH:$(python -c "import sys; print(':'.join(sys.path[1:]))")
    export FASTACT_ISA=baseline TSAN_OPTIONS="ignore_noninstrumented_modules=1 exitcode=66 halt_on_error=1"
    [[ $# -gt 0 ]] || set -- tests/test_threads.py tests/test_dispatch.py
    ./python-tsan -m pytest -q -p no:cacheprovider --capture=sys "$@"
}

fuzz_tiles() {
    clang -g -O1 -std=gnu11 -ffp-contract=off -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
        -Isrc/fastact/simd tools/fuzz_tiles.c src/fastact/simd/{target_*,dispatch}.c -lm -o "$work/fuzz_tiles"
    "$work/fuzz_tiles" -max_total_time="${1:-300}" -print_final_stats=1 -artifact_prefix="${TMPDIR:-/tmp}/fastact-"
}

# The kernels are instrumented as well, for coverage and by AddressSanitizer; atheris brings the runtime of both.
fuzz_python() {
    export ASAN_OPTIONS=detect_leaks=0
    build clang -g -fsanitize=address,fuzzer-no-link
    LD_PRELOAD=$(python -c "import atheris; print(atheris.path())")/asan_with_fuzzer.so \
        python tools/fuzz_python.py -max_total_time="${1:-300}" -max_len=512 -len_control=0 -print_final_stats=1 \
        -artifact_prefix="${TMPDIR:-/tmp}/fastact-"
}

case ${1:-} in
    asan | ubsan | tsan) "$@" ;;
    valgrind) valgrind_ "${@:2}" ;;
    fuzz-tiles) fuzz_tiles "${@:2}" ;;
    fuzz-python) fuzz_python "${@:2}" ;;
    *) sed -n '2,8s/^# \?//p' "$0" >&2; exit 2 ;;
esac
