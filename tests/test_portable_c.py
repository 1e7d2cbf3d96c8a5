"""The portable C is C11 and no more, so that compilers other than GCC and Clang, MSVC for one, can build it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parent.parent / "src/fastact"
# but for what the C library makes of INFINITY, isfinite and the like; and clauses that OpenMP 2.0 has not
GNU = re.compile(r"\b(__attribute__|__builtin_(?!inff|is)\w+|__asm__|__extension__|__typeof__|typeof|__int128)\b|\(\{"
                 r"|omp atomic \w+")  # fmt: skip
AS_MSVC = ["-std=c11", "-D_MSC_VER=1930", "-D__declspec(word)=", f"-I{SOURCES}", f"-I{SOURCES / 'simd'}"]

pytestmark = pytest.mark.skipif(
    not (SOURCES / "simd").exists(), reason="the sources are not here: an installed package is under test")


@pytest.fixture(params=["gcc", "clang"])
def compiler(request):
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param}")
    return request.param


@pytest.fixture(params=["target_portable.c", "headers"])
def source(request, tmp_path):
    """The kernels, or the headers that the Cython modules include."""
    if request.param != "headers":
        return SOURCES / "simd" / request.param
    path = tmp_path / "headers.c"
    headers = ["fpenv.h", "openmp.h", "simd/passes.h", "simd/strided.h"]
    path.write_text("".join(f'#include "{header}"\n' for header in headers))
    return path


def test_standard(compiler, source):
    """What -pedantic-errors refuses: arrays of variable length, statement expressions, and all that C11 has not."""
    # a static function that only the modules call is no fault of the headers
    flags = ["-Wall", "-Wextra", "-Wno-unused-function", "-Wno-unused-variable", "-Wno-unknown-pragmas", "-Wvla"]
    command = [compiler, *AS_MSVC, *flags, "-Werror", "-pedantic-errors", "-O2", "-c", source, "-o", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_gnu_words(compiler, source, tmp_path):
    """What it does not refuse: words that begin with two underscores, and what MSVC's OpenMP, 2.0, has not. Our own
    lines are looked at, after the preprocessor, in the way it goes for MSVC."""
    (tmp_path / "omp.h").write_text("int omp_get_max_threads(void);\n")
    command = [compiler, *AS_MSVC, "-D_OPENMP=200203", "-D_WIN32", f"-I{tmp_path}", "-E", source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours, found, lines = False, [], 0
    for line in done.stdout.splitlines():
        if marker := re.match(r'# \d+ "(.*?)"', line):
            ours = Path(marker[1]).is_relative_to(SOURCES)
        elif ours:
            lines += bool(line.strip())
            found += GNU.findall(line) and [line]
    assert found == [] and lines > 50
