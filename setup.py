"""The compiled part of fastact; everything else about the package is in pyproject.toml."""

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SIMD = Path("src/fastact/simd")
TRACED = os.environ.get("FASTACT_COVERAGE") == "1"  # every line can be traced, which makes all slow: `nox -s coverage`
HEADERS = sorted(map(str, [*SIMD.glob("*.inc"), *Path("src/fastact").rglob("*.h")]))

# these undo what a user's CFLAGS may hold: results are exact only without it
# at the link too: CFLAGS stand there as well, and -ffast-math would link a start-up that flushes subnormals
EXACT = ["-O3", "-fno-fast-math", "-fno-unsafe-math-optimizations"]
COMPILE = ["-std=c11", "-fvisibility=hidden", "-fno-finite-math-only", "-ffp-contract=off"]

OPENMP_PROGRAM = """
#include <omp.h>
int main(void)
{
    int sum = 0;
#pragma omp parallel for reduction(+ : sum) num_threads(2)
    for (int i = 0; i < 10; i++)
        sum += i;
    return sum != 45 || omp_get_max_threads() < 1;
}
"""


class BuildKernels(build_ext):
    """Adds each compiler's flags, and OpenMP's where a program that uses it can be built and run."""

    def build_extensions(self):
        self.force = True  # flags, compiler or FASTACT_OPENMP may have changed since the last build in this checkout
        if self.compiler.compiler_type == "msvc":
            compile_flags, link_flags, openmp = ["/O2", "/fp:precise", "/std:c11"], [], (["/openmp"], [])
        else:
            compile_flags = [*EXACT, *COMPILE, *["-O1"] * TRACED]
            # of several OpenMP runtimes that a process may come to hold, all calls go to the one there is at the start
            at_once = ["-Wl,-z,now"] if sys.platform == "linux" else []
            link_flags, openmp = [*EXACT, *at_once, "-lm"], (["-fopenmp"], ["-fopenmp"])
        if self.openmp_works(*openmp):
            compile_flags, link_flags = compile_flags + openmp[0], link_flags + openmp[1]
        else:
            warnings.warn("OpenMP was not found: fastact is built to run on one thread", stacklevel=1)
        for extension in self.extensions:
            extension.extra_compile_args = compile_flags
            extension.extra_link_args = link_flags
        super().build_extensions()

    def openmp_works(self, compile_flags, link_flags):
        if os.environ.get("FASTACT_OPENMP") == "0":
            return False
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "openmp.c")
            source.write_text(OPENMP_PROGRAM)
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=compile_flags)
                self.compiler.link_executable(objects, "openmp", output_dir=folder, extra_postargs=link_flags)
                subprocess.run([Path(folder, "openmp")], check=True, timeout=60)
            except Exception as error:  # whatever the compiler's way of failing, the answer is the same
                print(f"OpenMP probe: {error}", file=sys.stderr)
                return False
        return True


def extension(name, *c_sources):
    return Extension(
        f"fastact.{name}",
        [f"src/fastact/{name.replace('.', '/')}.pyx", *c_sources],
        include_dirs=["src/fastact", np.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_22_API_VERSION")] + [("CYTHON_TRACE_NOGIL", "1")] * TRACED,
        depends=HEADERS,
    )


setup(
    ext_modules=cythonize(
        [
            extension("kernels", *sorted(map(str, SIMD.glob("*.c")))),
            extension("ufuncs"),
            extension("activations"),
            extension("nn._fused"),
            extension("benchmarks.yardsticks"),
        ],
        language_level=3,
        compiler_directives={
            "boundscheck": False, "wraparound": False, "cdivision": True, "initializedcheck": False,
            "autotestdict": False,  # doctest finds the functions by itself, and would run their examples twice
            "linetrace": TRACED,
        },
    ),
    cmdclass={"build_ext": BuildKernels},
)
