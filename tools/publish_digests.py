"""Add to src/fastact/proof.json the digests of the plain passes, and those of the samples of `verify --quick`.

    python tools/publish_digests.py       a quarter of an hour on two cores

After tools/prove_exact.py, with the package built. Refuses, and writes nothing, where the exact passes give other bits
than those proved, or two instruction sets with a fused multiply-add differ.
"""

import json
import sys
from pathlib import Path

import fastact
from fastact import kernels, verify
from fastact.nn.progress import Progress

RECORD = Path(__file__).resolve().parent.parent / "src/fastact/proof.json"


def main():
    record = json.loads(RECORD.read_text())
    exact = [f"exact_{name}" for name in verify.EXACT]
    if any(segment is not None for _, segment in verify.verify(exact, record, quick=False)):
        sys.exit("the exact passes give other bits than those proved: run tools/prove_exact.py")
    checks = [verify.Check(name, level) for level in fastact.available_isas() for name in (*exact, *verify.PLAIN)]
    record["quick"] = {}
    with Progress(len(checks) * 257, "digests") as bar:
        for check in checks:
            kernels.set_isa(check.level)
            for part, quick in (("quick", True), ("digests", False)):
                if quick or check.kind != "any":
                    found = " ".join(verify.digests(check, quick, bar))
                    if record[part].setdefault(check.name, {}).setdefault(check.kind, found) != found:
                        sys.exit(f"{check.name}: {check.level} gives other bits than another level")
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
