"""The whole report: every pass, type, size, layout and instruction set beside every library that is installed.

    python bench/report.py

Takes about half an hour and writes bench/results/whole/: report.md, results.json and the plots. The options are those
of ``python -m fastact bench``.
"""

import sys

from fastact.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", "--whole", *sys.argv[1:]]))
