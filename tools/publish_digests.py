"""Add to src/fastact/proof.json the digests of the plain passes, and those of the samples of `verify --quick`.

    python tools/publish_digests.py       a quarter of an hour on two cores; interrupted, it goes on where it was

After tools/prove_exact.py, with the package built. Each kind of digest is taken at the first instruction set that has
it; `python -m fastact verify --plain` then compares the others. After a change of a plain pass, take its digests out of
the file first.
"""

import json
from pathlib import Path

import fastact
from fastact import kernels, verify
from fastact.nn.progress import Progress

RECORD = Path(__file__).resolve().parent.parent / "src/fastact/proof.json"


def main():
    record = json.loads(RECORD.read_text())
    names = (*(f"exact_{name}" for name in verify.EXACT), *verify.PLAIN)
    wanted = {}  # the first level that has it
    for level in fastact.available_isas():
        for name in names:
            check = verify.Check(name, level)
            for part in ("quick", "digests"):
                if check.kind not in record.setdefault(part, {}).get(name, {}):
                    wanted.setdefault((part, name, check.kind), check)
    segments = 2**32 // verify.SEGMENT
    with Progress(sum(1 if part == "quick" else segments for part, *_ in wanted), "digests") as bar:
        for (part, name, kind), check in sorted(wanted.items(), reverse=True):  # the quick ones first
            kernels.set_isa(check.level)
            record[part].setdefault(name, {})[kind] = " ".join(verify.digests(check, part == "quick", bar))
            RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
