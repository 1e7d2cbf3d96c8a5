"""tools/release.py refuses what must not be released, and says why."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "tools/release.py"
GOOD = {
    "src/fastact/__init__.py": '__version__ = "1.2.0"\n',
    "CITATION.cff": "cff-version: 1.2.0\nversion: 1.2.0\n",
    "CHANGELOG.md": "# Changelog\n\n## 1.2.0 (2026-11-27)\n\n- All.\n\n## 1.1.0 (2026-01-01)\n",
    ".gitignore": "",
}

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


@pytest.fixture(scope="module")
def release():
    spec = importlib.util.spec_from_file_location("release", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def git(folder, *arguments):
    who = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    for name, text in GOOD.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--initial-branch=main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-m", "all")
    return tmp_path


def test_nothing_in_the_way(release, checkout):
    assert release.state(checkout) == ("1.2.0", [])


@pytest.mark.parametrize(("fault", "reason"), [
    (lambda folder: (folder / "new").write_text(""), "git: the tree is not clean"),
    (lambda folder: git(folder, "switch", "-c", "other"), "git: releases are made from main, and this is other"),
    (lambda folder: git(folder, "tag", "v1.2.0"), "git: the tag v1.2.0 is there already"),
], ids=["unclean", "branch", "tag"])  # fmt: skip
def test_git_in_the_way(release, checkout, fault, reason):
    fault(checkout)
    (got,) = release.state(checkout)[1]
    assert got.startswith(reason)


@pytest.mark.parametrize(("name", "old", "new", "reason"), [
    ("CITATION.cff", "\nversion: 1.2.0", "\nversion: 1.1.0", "version is 1.1.0, and __version__ is 1.2.0"),
    ("CHANGELOG.md", "(2026-11-27)", "(not released)", "and is '## 1.2.0 (not released)'"),
    ("CHANGELOG.md", "(2026-11-27)", "(2026-13-45)", "and is '## 1.2.0 (2026-13-45)'"),
    ("CHANGELOG.md", "(2026-11-27)", "(2026-1-5)", "and is '## 1.2.0 (2026-1-5)'"),
    ("CHANGELOG.md", "## 1.2.0 (2026-11-27)\n\n- All.\n\n", "", "and is '## 1.1.0 (2026-01-01)'"),
])  # fmt: skip
def test_versions_that_disagree(release, checkout, name, old, new, reason):
    assert old in GOOD[name]
    (checkout / name).write_text(GOOD[name].replace(old, new))
    git(checkout, "commit", "-a", "-m", "a fault")
    (got,) = release.state(checkout)[1]
    assert reason in got


def test_contents(release, checkout):
    """What is missing from the sdist and what is in it that git does not have, by name."""
    made = ["PKG-INFO", "setup.cfg", "src/fastact.egg-info/SOURCES.txt"]
    names = ["src/fastact/__init__.py", "CHANGELOG.md", "CITATION.cff", *made]
    assert release.contents(checkout, names) == []
    (missing,) = release.contents(checkout, names[1:])
    assert missing == "sdist: it does not have src/fastact/__init__.py"
    (added,) = release.contents(checkout, [*names, "src/fastact/kernels.c"])
    assert added == "sdist: it has, and git has not, src/fastact/kernels.c"
