"""The report: results.json, report.md, and the plots beside it."""

import json
import math
import os
import re
import statistics
from pathlib import Path
from typing import Any

from fastact._commands import UsageError
from fastact.benchmarks.cases import GROUPS, KI, SCALING_OPERATIONS, SCALING_SIZES, format_size, format_threads
from fastact.benchmarks.peers import CANNOT_BE_HELD, EXACT, LIBRARIES, OPERATIONS, Jax, Numba

JSON, MARKDOWN = "results{}.json", "report{}.md"
INTERRUPTED = "-interrupted"  # ends the names of an interrupted run's files, beside a complete report
ORDER = [library.name for library in LIBRARIES]
NAMES = {
    "fastact": "fastact", "numpy": "NumPy", "numpy (other)": "NumPy (other)", "scipy": "SciPy", "numexpr": "numexpr",
    "numba": "Numba", "torch": "PyTorch", "onnxruntime": "ONNX Runtime", "jax": "JAX", "sklearn": "scikit-learn",
    "thinc": "thinc",
}  # fmt: skip
MODES = {"into": "`out=`", "inplace": "in place", "new": "new array"}
SIGNIFICANT = 4  # digits that are kept of a number

NOTES = """\
- Times are medians, in {unit}. Every peer takes its samples in turn with
  fastact (fastact, peer, fastact, peer, …; the other way round in every second round). A ratio is made from each such
  pair: peer's time over fastact's, so **above 1 fastact is faster**. The table gives the ratio to the fastest peer: the
  median, its quartiles in brackets, and the number of rounds where they are fewer than {rounds} (long calls). The
  fastest is the peer of the least ratio, which need not have the least median time.
- Behind a time stands the largest error in ULP on inputs of N(0, 3), and after a stroke the one in the tails where that
  is larger (results down to the subnormals; a result that is lost there is off by millions).
- Share of the limit: the time of a loop that only moves the same bytes, over fastact's. In place, and in the caches,
  that loop multiplies an array by a number; out of place in main memory it copies with streaming stores. It moves two
  arrays; for a backward pass its time counts one and a half times. Above 100 % the pass beats the loop. In the caches a
  pass with `out=` touches an array more than the loop, and may need a larger cache than it. Below 64 Ki elements the
  call itself takes most of the time of either, so none is given, nor for strided inputs, new arrays and single layers.
- Share of the limit of a training step: the time of its matrix products alone, as NumPy multiplies, over fastact's.
- The speed of main memory changed by up to two times from row to row of one run. Times of different rows, and the gain
  from threads there, cannot be compared, only ratios and shares, which are taken side by side.
- Below AVX2 there is no fused multiply-add: fastact emulates it where a formula needs one, so that its results keep
  their accuracy, and is slow.
- "Even" with wide quartiles, as in main memory, means that the machine was too noisy to tell, not that both are equal.
- Every array starts at a page (networks, and what JAX makes: where the library puts it), so that all meet the caches in
  the same way.
- In place a pass is applied again and again to its own result, in an array that all libraries share (JAX has one of its
  own, made anew for each sample). After some calls the numbers sit where the pass leaves them: at a fixed point for
  `sigmoid` and the derivatives, near 0 for `tanh`, at the first result for `relu` and `relu_backward`; the backward
  passes of sigmoid and tanh, and leaky ReLU left of 0, shrink them to subnormals and zeros.
- At an instruction set below the machine's best the libraries are held to it by their own variables; ONNX Runtime,
  which has none, is left out there. SciPy and numexpr are built for the baseline.
- No entry: the library has no such function, or none for such arrays (ONNX Runtime, JAX and thinc take contiguous
  arrays only, SciPy has a sigmoid only, scikit-learn works in place only; thinc's sigmoid backward in place writes over
  y, and is timed with new arrays only).
- Networks were timed in float32 only, strided inputs for three passes, other numbers of threads for two, and
  instruction sets below the best on one thread and one size.
- JAX has no `out=`: there it makes a new array, and in place it donates its input. scikit-learn's functions work in
  place, on the output of the forward pass. Each process had the number of threads set by every library's own means.
- NumPy, SciPy, scikit-learn and thinc compute these passes on one thread, whatever is set.
- Every result was compared with the float64 reference before it was timed. A library whose result is further from it
  than 64 rounding errors of numbers near 1 is not timed, and is named below. Lost tails do not count there, so the
  fastest peer may be one whose error in ULP is large.
"""


def check_folder(folder):
    """Make the folder of the report, before anything is measured, and return its path.

    Raises
    ------
    UsageError
        It cannot be made or written to, or has a folder where a file of the report belongs.
    """
    if not folder.strip():
        raise UsageError("--output must name a folder, got an empty name")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
        files = [name.format(suffix) for name in (JSON, MARKDOWN) for suffix in ("", INTERRUPTED)]
        for path in folder.iterdir():
            name = path.name.removesuffix(".part")
            if path.is_dir() and (name in files or name.endswith(".svg")):
                raise UsageError(f"--output {folder} has a folder named {path.name}, which is a file of the report")
    except OSError as error:
        raise UsageError(f"--output {folder} cannot be written to: {error.strerror}") from None
    return folder


def write(document, folder):
    """Write the files of a report, all from the same rounded numbers; each is replaced as a whole or not at all.

    Those of an interrupted run have names of their own where the folder holds a complete report, and a complete report
    takes their place too. Plots that an earlier report shows and this one does not are removed.

    Returns
    -------
    Path
        The report.
    """
    document = _rounded(document)
    suffix = INTERRUPTED if not document["complete"] and _is_complete(folder) else ""
    replaced = ["", INTERRUPTED] if document["complete"] else [suffix]
    earlier = {file for old in replaced for file in _files_of_report(folder, old)}
    results, report = JSON.format(suffix), MARKDOWN.format(suffix)
    _replace(folder / results, json.dumps(document, separators=(",", ":")) + "\n")
    try:
        from fastact.benchmarks import plots
    except ImportError:
        captions = None
    else:
        captions = {}
        for stem, svg, caption in plots.draw(document):
            name = f"{stem}{suffix}.svg"
            _replace(folder / name, svg)
            captions[name] = caption
    _replace(folder / report, markdown(document, captions))
    for name in earlier.difference([results, report], captions or ()):
        (folder / name).unlink(missing_ok=True)
    return folder / report


def _is_complete(folder):
    try:
        return read(folder)["complete"]
    except (OSError, ValueError, KeyError):
        return False


def _files_of_report(folder, suffix):
    """Return the names of the files of an earlier report: the two that every report has, and the plots it shows."""
    files = [JSON.format(suffix), MARKDOWN.format(suffix)]
    try:
        text = (folder / MARKDOWN.format(suffix)).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return files
    return files + re.findall(r"^!\[.*\]\(([\w.-]+\.svg)\)$", text, flags=re.MULTILINE)


def read(folder: str | Path) -> dict[str, Any]:
    """Return the document of an earlier run."""
    return json.loads((Path(folder) / JSON.format("")).read_text(encoding="utf-8"))


def _replace(path, text):
    """Write a file as a whole or not at all."""
    part = path.with_suffix(path.suffix + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def _rounded(value):
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.{SIGNIFICANT}g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value


class Row:
    """A row of the results, with what the tables say of it."""

    def __init__(self, entry, errors, most_rounds):
        self.case = entry["case"]
        self.most_rounds = most_rounds
        self.times = {name: entry["times"][name] for name in ordered(entry["times"])}
        self.wrong = entry["wrong"]
        self.limit = entry.get("limit")
        self.is_network = self.case["group"] in ("dense", "training")
        key = self.case["level"], self.case["operation"], self.case["dtype"]
        self.errors = {} if self.is_network else errors.get(key, {})

    @property
    def title(self):
        """What is timed, for people."""
        case = self.case
        where = f"{format_threads(case['threads'])}, {case['level']}"
        if self.is_network:
            what = "training step" if case["group"] == "training" else f"Dense, `{case['operation']}`"
            return f"{what}, {case['layout']}, {case['size']} rows, {case['dtype']}, {where}"
        layout = "" if case["layout"] == "contiguous" else f", {case['layout']}"
        what = f"`{case['operation']}` {case['dtype']}, {format_size(case['size'])}{layout}, {MODES[case['mode']]}"
        return f"{what}, {where}"

    @property
    def scale(self):
        """What seconds are multiplied by: nanoseconds an element, a call of one element, or milliseconds a call."""
        return 1e3 if self.is_network else 1e9 / self.case["size"]

    def time(self, name):
        return self.times[name]["seconds"]["median"] * self.scale

    @property
    def best_peer(self):
        """The fastest peer, or None without peers."""
        peers = [name for name in self.times if name != "fastact"]
        return min(peers, key=lambda name: self.times[name]["ratio"]["median"], default=None)

    @property
    def ratio(self):
        """The fastest peer's time over fastact's: median and quartiles."""
        return self.times[self.best_peer]["ratio"] if self.best_peer else None

    @property
    def spread(self):
        """The ratio as it is printed."""
        ratio, rounds = self.ratio, self.times[self.best_peer]["rounds"]
        few = f"; {rounds} rounds" if rounds < self.most_rounds else ""
        return f"{ratio['median']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f}{few})"

    @property
    def arrays(self):
        """Arrays that a pass moves."""
        return 3 if self.case["operation"].endswith("_backward") else 2

    @property
    def share(self):
        """The limit's time over fastact's, or None where there is no limit."""
        if self.limit is None:
            return None
        return self.limit["ratio"]["median"] * (1 if self.is_network else self.arrays / 2)

    @property
    def limit_gigabytes(self):
        """GB/s of the loop that only moves memory."""
        moved = 2 * self.case["size"] * (4 if self.case["dtype"] == "float32" else 8)
        return moved / self.limit["seconds"]["median"] / 1e9


def rows_of(document):
    """Return the timed rows of a document, with each library's largest errors."""
    errors = {
        (row["case"]["level"], row["case"]["operation"], row["case"]["dtype"]): row["errors"]
        for row in document["rows"]
        if "errors" in row
    }
    return [Row(row, errors, document["settings"]["rounds"]) for row in document["rows"] if "times" in row]


def ordered(names):
    """Return libraries' names in the order of the tables."""
    return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def summary(document):
    """Return a few lines for the terminal: where fastact is ahead, even, and behind."""
    rows = [row for row in rows_of(document) if row.ratio]
    if not rows:
        return "Nothing has been compared yet."
    ahead, even, behind = split_by_outcome(rows)
    lines = [f"{len(document['rows'])} of {document['cases']} rows measured in {document['seconds']:.0f} s."]
    if not document["complete"]:
        lines[0] += " The run was interrupted; the report holds these rows."
    lines += ["", f"{'':<24}{'fastact':>10}  {'fastest peer':<26}{'ratio':>7}"]
    for row in rows:
        case = row.case
        if is_headline(row) and case["level"] == document["machine"]["levels"][0]:
            peer = f"{NAMES[row.best_peer]} {_number(row.time(row.best_peer))}"
            name = f"{case['operation']} {case['dtype'].replace('float', 'f')}"
            lines.append(f"{name:<30}{_number(row.time('fastact')):>8}  {peer:<22}{row.ratio['median']:>7.2f}")
    lines += ["", "(ns an element, 64 Ki elements, one thread; above 1 fastact is faster)" if len(lines) > 4 else ""]
    lines.append(
        f"Against the fastest peer of each row fastact is ahead in {len(ahead)} of {len(rows)}, even in {len(even)}, "
        f"behind in {len(behind)}."
    )
    return "\n".join(lines)


def overview(document):
    """Return the table of the passes at a glance: 64 Ki elements, one thread, the best instruction set.

    Of the libraries NumPy (both ways), SciPy, PyTorch, and those that are the fastest peer of a row.
    """
    level = document["machine"]["levels"][0]
    rows = [row for row in rows_of(document) if is_headline(row) and row.case["level"] == level]
    timed, fastest = {name for row in rows for name in row.times}, {row.best_peer for row in rows}
    always = {"fastact", "numpy", "numpy (other)", "scipy", "torch"}
    return table(rows, ordered(timed & always | fastest)) if rows else ""


def is_headline(row):
    """Whether a row is one by which passes are compared at a glance: 64 Ki elements, one thread, `out=`."""
    case = row.case
    return row.ratio and (case["group"], case["mode"], case["size"]) == ("cache", "into", 64 * KI)


def split_by_outcome(rows):
    """Return the rows where fastact is ahead of the fastest peer, even with it, and behind, by the quartiles as they
    are printed."""
    ahead = [row for row in rows if round(row.ratio["low"], 2) > 1]
    behind = [row for row in rows if round(row.ratio["high"], 2) < 1]
    even = [row for row in rows if row not in ahead and row not in behind]
    return ahead, even, sorted(behind, key=lambda row: row.ratio["median"])


def markdown(document, captions):
    """Return the report as Markdown.

    Parameters
    ----------
    document : dict
    captions : dict of str to str, or None
        Each plot's file and what it shows; None where Matplotlib is not installed.
    """
    rows = rows_of(document)
    parts = [_head(document)]
    compared = [row for row in rows if row.ratio]
    if compared:
        parts.append(_standing(compared))
    if table_of_all := overview(document):
        parts.append(
            f"## Overview\n\n64 Ki elements, one thread, {document['machine']['levels'][0]}, `out=` given;\n"
            f"nanoseconds an element, and in brackets the largest error in ULP.\n\n{table_of_all}"
        )
    if captions is None:
        parts.append('Plots are drawn where Matplotlib is installed: `pip install "fastact[bench]"`.')
    elif captions:
        parts.append("## Plots\n\n" + "\n\n".join(f"![{text}]({file})\n\n{text}" for file, text in captions.items()))
    notes = NOTES.format(unit="nanoseconds an element (networks: milliseconds)", rounds=document["settings"]["rounds"])
    parts.append("## How to read the tables\n\n" + notes)
    for group, title in GROUPS.items():
        if group == "accuracy":
            continue
        chosen = [row for row in rows if row.case["group"] == group]
        if chosen:
            parts.append(f"## {title}\n\n" + "\n\n".join(_tables(chosen)))
        if group == "scaling":
            parts.append(_speedups(rows))
    parts.append(_errors(document))
    parts.append(_limits(rows))
    parts.append(_statements(rows))
    return "\n\n".join(filter(None, (part.strip() for part in parts))) + "\n"


def _head(document):
    machine, environments = document["machine"], document["environments"]
    versions, absent = {}, {}
    for environment in environments:
        versions |= environment["versions"]
        # what cannot be held to a lower level is in the notes
        absent |= {name: why for name, why in environment["absent"].items() if why != CANNOT_BE_HELD}
    versions = {name: versions[name] for name in ordered(versions) if name in NAMES and name != "numpy (other)"}
    levels = "; ".join(
        f"fastact {found['isa']}, NumPy {(found.get('numpy_features') or ['its baseline'])[-1]}"
        + (f", PyTorch {found['torch']}" if "torch" in found else "")
        for found in {environment["level"]: environment for environment in environments}.values()
    )
    blas = next((found["blas"][0] for found in environments if found.get("blas")), "unknown")
    lines = [
        "# fastact beside its peers",
        f"Made by `{document['command']}` on {document['date']}, in {document['seconds'] / 60:.0f} minutes."
        + ("" if document["complete"] else f" **The run was interrupted**: {len(document['rows'])} of "
           f"{document['cases']} rows were measured."),
        "| | |\n| --- | --- |\n"
        f"| processor | {machine['processor']}"
        + (f" ({machine['model']})" if machine["model"] else "")
        + f", {machine['processors']} usable |\n"
        f"| system | {machine['system']}, Python {document['versions']['python']} |\n"
        f"| instruction sets | {', '.join(machine['levels'])} (here: {levels}) |\n"
        f"| NumPy's BLAS | {blas} |\n"
        f"| versions | {', '.join(f'{NAMES[name]} {version}' for name, version in versions.items())} |\n"
        f"| not installed | {', '.join(f'{NAMES[name]} ({reason})' for name, reason in absent.items()) or 'none'} |",
    ]  # fmt: skip
    return "\n\n".join(lines)


def _standing(rows):
    ahead, even, behind = split_by_outcome(rows)
    ratios = [row.ratio["median"] for row in rows]
    text = (
        "## Where fastact stands\n\n"
        f"Against the fastest peer of each of {len(rows)} rows fastact is ahead in {len(ahead)}, even (1 lies between\n"
        f"the quartiles of the ratio) in {len(even)}, and behind in {len(behind)}. The median of the ratios\n"
        f"is {statistics.median(ratios):.2f}."
    )
    if behind:
        lines = [[row.title, NAMES[row.best_peer], row.spread] for row in behind]
        text += "\n\nBehind, the worst first:\n\n" + _markdown_table(["what", "fastest peer", "ratio"], lines)
    return text


def _tables(rows):
    """Yield the tables of a group of rows: one for each instruction set, number of threads and mode that it holds."""
    tables = {}
    for row in rows:
        title = f"{row.case['level']}, {format_threads(row.case['threads'])}"
        if not row.is_network:
            title += f", {MODES[row.case['mode']]}"
        tables.setdefault(title, []).append(row)
    for title, chosen in tables.items():
        yield f"### {title}\n\n" + table(chosen)


def table(rows, libraries=None, errors=True):
    """Return rows as a Markdown table: what, fastact, each peer, the ratio to the fastest, the share of the limit.

    Parameters
    ----------
    rows : list of Row
    libraries : list of str, optional
        The columns; the default is every library that was timed.
    errors : bool, optional
        Whether the largest errors stand behind the times.
    """
    libraries = libraries or ordered({name for row in rows for name in (*row.times, *row.wrong)})
    limits = any(row.limit for row in rows)
    sizes = {(row.case["size"], row.case["layout"]) for row in rows}
    wide = len(sizes) > 1 or rows[0].is_network
    head = ["pass" if not rows[0].is_network else "", "type", *(["size"] if wide else [])]
    head += [*(NAMES[name] for name in libraries), "fastest peer / fastact"]
    head += ["share of the limit"] if limits else []
    lines = []
    for row in sorted(rows, key=_place):
        case = row.case
        layout = "" if case["layout"] == "contiguous" else f", {case['layout']}"
        size = f"{case['layout']} ({case['size']} rows)" if row.is_network else f"{format_size(case['size'])}{layout}"
        cells = [f"`{case['operation']}`" if case["operation"] != "step" else "step", case["dtype"]]
        cells += [size] if wide else []
        cells += [_cell(row, name, errors) for name in libraries]
        cells += [f"**{row.spread}** {NAMES[row.best_peer]}" if row.ratio else ""]
        if limits:
            cells += ["" if row.share is None else f"{100 * row.share:.0f} %"]
        lines.append(cells)
    return _markdown_table(head, lines)


def _markdown_table(head, rows):
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def _place(row):
    """Where a row stands in its table: networks as they come, passes by name, type and size."""
    case = row.case
    return () if row.is_network else ((*OPERATIONS, *EXACT).index(case["operation"]), case["dtype"], case["size"])


def _cell(row, name, errors):
    if name in row.wrong:
        return "wrong"
    if name not in row.times:
        return ""
    text = _number(row.time(name))
    if errors and name in row.errors:
        text += f" ({_error(*row.errors[name])})"
    return text


def _error(centre, tails):
    return _ulp(centre) + (f"/{_ulp(tails)}" if tails > max(1.05 * centre, centre + 0.05) else "")


def _ulp(error):
    if error == 0:
        return "0"
    return f"{error:.2f}" if error < 100 else f"{error:.0e}".replace("e+0", "e").replace("e+", "e")


def _number(value):
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _speedups(rows):
    """How many times as fast every library is on several threads as on one."""
    found = {}
    for row in rows:
        case = row.case
        if case["operation"] in SCALING_OPERATIONS and case["size"] in SCALING_SIZES and case["mode"] == "into" \
                and case["layout"] == "contiguous":  # fmt: skip
            found.setdefault((case["operation"], case["dtype"], case["size"], case["level"]), {})[case["threads"]] = row
    found = {key: by_threads for key, by_threads in found.items() if 1 in by_threads and len(by_threads) > 1}
    if not found:
        return ""
    libraries = ordered({name for by_threads in found.values() for row in by_threads.values() for name in row.times})
    head = ["pass", "type", "size", "threads", *(NAMES[name] for name in libraries)]
    lines = []
    for (operation, dtype, size, _), by_threads in sorted(found.items()):
        one = by_threads[1]
        for threads, row in sorted(by_threads.items()):
            if threads > 1:
                cells = [f"`{operation}`", dtype, format_size(size), str(threads)]
                cells += [f"{one.time(name) / row.time(name):.2f}" if name in one.times and name in row.times else ""
                          for name in libraries]  # fmt: skip
                lines.append(cells)
    return (
        "### The gain from threads\n\nThe time on one thread over the time on several: medians of two processes, not "
        "pairs. Rows of other sections count too.\n\n" + _markdown_table(head, lines)
    )


def _errors(document):
    """The largest errors of every library, a table for each instruction set."""
    parts = []
    for level in document["machine"]["levels"]:
        rows = [row for row in document["rows"] if "errors" in row and row["case"]["level"] == level and row["errors"]]
        if not rows:
            continue
        libraries = ordered({name for row in rows for name in row["errors"]})
        lines = []
        for row in rows:
            case = row["case"]
            cells = [_error(*row["errors"][name]) if name in row["errors"] else "" for name in libraries]
            lines.append([f"`{case['operation']}`", case["dtype"], *cells])
        head = ["pass", "type", *(NAMES[name] for name in libraries)]
        parts.append(f"### {level}\n\n" + _markdown_table(head, lines))
    if not parts:
        return ""
    count = document["settings"]["points"]
    return (
        f"## {GROUPS['accuracy']}\n\nIn ULP, against extended precision: on {count:,} inputs of N(0, 3), and after a "
        f"stroke, where it is larger, on {count:,} in the tails.\n\n" + "\n\n".join(parts)
    )


def _limits(rows):
    """The yardsticks, each the median of what it reached beside every pass."""
    found = {}
    for row in rows:
        if row.limit and not row.is_network:
            case = row.case
            key = (case["level"], row.limit["name"], case["threads"], case["dtype"], case["size"])
            found.setdefault(key, []).append(row.limit_gigabytes)
    if not found:
        return ""
    lines = []
    first = next(iter(found))[0]
    for (level, name, threads, dtype, size), values in sorted(found.items(), key=lambda item: item[0][1:]):
        if level == first:
            speeds = [f"{speed:.1f}" for speed in (statistics.median(values), min(values), max(values))]
            lines.append([name, str(threads), dtype, format_size(size), *speeds])
    return (
        "## The machine's limit\n\nBytes read and written in a second by the loops that the share of the limit refers "
        "to: the median of what each reached beside the passes, the least and the most.\n\n"
        + _markdown_table(["loop", "threads", "type", "elements", "GB/s", "from", "to"], lines)
    )


def _statements(rows):
    """What was called, word for word; and what was left out because its result is wrong."""
    statements, wrong = {}, {}
    for row in rows:
        case = row.case
        groups = {"dense": f"Dense, {case['operation']}", "training": "training step"}
        what = groups.get(case["group"], case["operation"])
        for name, entry in row.times.items():
            statements.setdefault((what, case["mode"], name), entry["statement"])
        for name, reason in row.wrong.items():
            wrong.setdefault((NAMES[name], what, case["dtype"]), reason)
    parts = []
    if wrong:
        parts.append("## Left out, and why")
        parts.append(_markdown_table(["library", "what", "type", "why"], [[*key, why] for key, why in wrong.items()]))
    lines = [
        [f"`{what}`", MODES[mode], NAMES[name], f"`{statement}`"]
        for (what, mode, name), statement in statements.items()
    ]
    parts += ["## What was called", _markdown_table(["what", "way", "library", "statement"], lines)]
    for library, how in (
        (Numba, "`njit(parallel=True, fastmath=True)` of a loop over these; `one` and `c`, the slope, are of the type"),
        (Jax, "`jit` of these, with `donate_argnums=0` for the donated ones"),
    ):
        if any(name == library.name and what in library.expressions for what, _, name in statements):
            parts.append(f"The functions of {NAMES[library.name]}: {how}.")
            lines = [[f"`{operation}`", f"`{expression}`"] for operation, expression in library.expressions.items()]
            parts.append(_markdown_table(["pass", "expression"], lines))
    return "\n\n".join(parts)
