"""``python -m fastact bench``: fastact beside what its users would otherwise use.

`peers` says how each library computes each pass, `networks` how it trains a network; `cases` lists what is measured;
`timing` takes samples in turn; `runner` starts a process (`worker`) for each instruction set and number of threads;
`report` and `plots` write what came out.
"""

import os
import shlex
import sys
from pathlib import Path

DESCRIPTION = """\
Time fastact beside the libraries that are installed (NumPy, SciPy, numexpr, Numba, PyTorch, ONNX Runtime, JAX,
scikit-learn, thinc), in turn and on equal threads, check their results, and write a report: report.md, results.json
and plots as SVG. Takes one or two minutes; the whole report (--whole) about half an hour. Progress goes to standard
error. Ctrl-C ends it: what has been measured is written. The plots need Matplotlib: pip install "fastact[bench]".
"""


def add_arguments(parser):
    """Add the options of the benchmarks to their parser."""
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--whole", action="store_true", help="every size, type, layout and instruction set")
    extent.add_argument("--exact", action="store_true", help="the passes of fastact.exact, at each instruction set")
    extent.add_argument("--smoke", action="store_true", help="a few small cases, to see that it works")
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="where the report goes (bench/results/quick, whole, exact or smoke); files of an earlier report are "
        "replaced, but those of a complete one only by a complete one",
    )


def run(arguments):
    """Measure, write the report, and print a summary."""
    from fastact.benchmarks import report
    from fastact.benchmarks.runner import Run

    kind = "quick"
    for option in ("whole", "exact", "smoke"):
        if getattr(arguments, option):
            kind = option
    output = os.path.join("bench", "results", kind) if arguments.output is None else arguments.output
    folder = report.check_folder(output)
    run = Run(kind, _printable(shlex.join(["python", *_program(), *sys.argv[1:]])))
    try:
        run.measure()
    finally:
        if run.document["rows"]:
            written = report.write(run.document, folder)
            print(report.summary(run.document))
            kept = " The complete report beside it is as it was." if report.INTERRUPTED in written.name else ""
            print(f"\nThe report is in {_printable(str(written))}.{kept}")
        else:
            print("Nothing has been measured; no report is written.")


def _printable(text):
    """Escape the bytes of a command line or path that are no text in the locale's encoding."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _program():
    """Return how the running program was started: ``-m fastact`` or a script."""
    script = Path(sys.argv[0])
    return ["-m", "fastact"] if script.parent.name == "fastact" else [str(script)]
