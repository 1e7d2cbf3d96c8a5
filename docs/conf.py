"""Sphinx: ``pip install ".[docs]" && sphinx-build -W -b html docs build/docs``, half a minute."""

import os
import posixpath
import re
import subprocess
import sys

import fastact
from fastact import cli

project = "fastact"
release = version = fastact.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
default_role = "py:obj"  # `name` in a docstring is a link if there is such a name

html_theme = "furo"
html_title = f"fastact {release}"
html_show_copyright = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["fastact.css"]
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types and shapes, in words
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False

# files outside docs/ that stand on a page of the site
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "bench/results/whole/report.md": "report.md",
    "src/fastact/simd/README.md": "formulas.md",
}
LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)#\s]+)")


def links_of(folder, text):
    """Return Markdown with its links, relative to a folder of the repository, as the site has them: to a page where
    the file is one, else to the file itself."""

    def target(match):
        path = posixpath.normpath(posixpath.join(folder, match[2]))
        page = PAGES.get(path, path.removeprefix("docs/"))
        return f"{match[1]}/{page}" if page != path else f"{match[1]}/../{path}"

    return LINK.sub(target, text)


def commands():
    """Return what ``--help`` says of every command, as Markdown."""
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1"}  # argparse fits its text to the terminal
    sections = []
    for name in ("", *cli.COMMANDS):
        call = [sys.executable, "-m", "fastact", *filter(None, [name]), "--help"]
        text = subprocess.run(call, env=environment, check=True, capture_output=True, encoding="utf-8").stdout
        sections.append(f"\n## {name or 'All commands'}\n\n```text\n{text}```\n")
    return "".join(sections)


def setup(app):
    """Let the same files be read on the site and where the repository is shown; the command line documents itself."""

    def read(app, name, text):
        text[0] = links_of(posixpath.dirname(f"docs/{name}"), text[0])
        if name == "reference/command-line":
            text[0] += commands()

    def include(app, path, name, text):
        if path.suffix == ".md":
            text[0] = links_of(posixpath.normpath(f"docs/{path.parent.as_posix()}"), text[0])

    app.connect("source-read", read)
    app.connect("include-read", include)
