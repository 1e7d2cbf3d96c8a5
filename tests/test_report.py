"""python -m fastact report: a page that loads nothing, one seed one result, errors of one line, all or nothing."""

import json
import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from fastact import _datasets
from fastact._commands import CommandError
from fastact.cli import main
from fastact.report import experiment, page

pytest.importorskip("matplotlib", reason="Matplotlib is not installed")

ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "error"}
THREE = ["0.5", "1.5", "2.5"]
SMALL = ["--depth", "3", "--width", "8", "--epochs", "3", "--batch-size", "20"]


@pytest.fixture
def table(tmp_path):
    """A function that writes a CSV file and returns its path."""

    def write(text, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def flowers():
    """The text of a CSV file: two numbers, an identifier, and which of two flowers it is."""
    rng = np.random.default_rng(0)
    lines = ["length,width & height,id,<b>kind"]
    for row in range(60):
        length, width = rng.normal([row % 2, 5.0], 0.3)
        lines.append(f"{length:.4f},{width:.4f},f{row},{['rose', 'tulip'][row % 2]}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report on the flowers, its folder, and what the command printed; the command is run as a user runs it."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "flowers.csv").write_text(flowers(), encoding="utf-8")
    command = [sys.executable, "-m", "fastact", "report", "--data", "flowers.csv", "--target", "<b>kind", "--drop",
               "id", "--out", "deep/er/out", *SMALL]  # fmt: skip
    result = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return folder / "deep" / "er" / "out", result


class Page(HTMLParser):
    """Notes what a page would load, its ids, and that every element is closed."""

    VOID = ("meta", "br", "hr", "link", "input")

    def __init__(self, text):
        super().__init__()
        self.loads, self.ids, self.tags, self.open, self.text = [], [], [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.loads.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_files(written):
    folder, result = written
    names = {path.name for path in folder.iterdir()}
    document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert names == set(document["files"]) and {"report.html", "loss.svg", "accuracy.png"} <= names
    assert {path.suffix for path in folder.iterdir()} == {".html", ".json", ".svg", ".png"}
    assert list(folder.parent.iterdir()) == [folder]
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in names if name.endswith(".png"))
    assert "report: 12/12" in result.stderr and str(folder.name) in result.stdout


def test_the_page_loads_nothing(written):
    """No address is loaded, in HTML, SVG or CSS; ids are unique; scripts there are none."""
    text = (written[0] / "report.html").read_text(encoding="utf-8")
    found = Page(text)
    assert [target for target in found.loads if not target.startswith(("#", "data:"))] == []
    assert len(found.ids) == len(set(found.ids)) and "script" not in found.tags and "link" not in found.tags
    assert {target[1:] for target in found.loads if target.startswith("#")} <= set(found.ids)
    assert set(re.findall(r"url\((.)", text)) <= {"#"} and "@import" not in text
    assert found.tags.count("svg") == found.tags.count("figure") == 18
    assert "b" not in found.tags  # what a file holds is text, not HTML
    assert "prefers-color-scheme: dark" in text and 'name="viewport"' in text


def test_the_page_says_what_was_found(written):
    folder, result = written
    text = Page((folder / "report.html").read_text(encoding="utf-8")).text
    document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    plain = text.replace("\u2011", "-").replace("\xa0", " ")
    for finding in document["findings"]:
        assert finding in plain and finding in result.stdout
    for run in document["activations"].values():
        for when in ("before", "after"):
            assert all(finding["text"] in plain for finding in run[when]["findings"])
    assert "flowers.csv" in text and document["command"] in text and "2 classes" in text
    assert document["data"]["features"] == ["length", "width & height"]


def test_numbers_are_those_of_the_training(written):
    """What the document says of an activation is what training it by hand gives."""
    document = json.loads((written[0] / "report.json").read_text(encoding="utf-8"))
    dataset = _datasets.load(str(written[0].parents[2] / "flowers.csv"), "<b>kind", ["id"])
    split = _datasets.split(dataset, 0)
    settings = experiment.Settings(3, 8, 3, 20, 0.02, 0.9, 0.01, None, 0)
    (run,) = experiment.train(dataset, split, ["tanh"], settings)
    history = document["activations"]["tanh"]["history"]
    assert experiment.to_dict(run)["history"]["loss"] == pytest.approx(history["loss"])
    assert document["settings"] == vars(settings) and document["data"]["training_rows"] == 48
    assert list(document["activations"]) == ["sigmoid", "tanh", "relu", "leaky_relu"]
    assert len(document["activations"]["relu"]["epochs"]) == 3
    assert run.score == history["val_accuracy"][-1]


def test_the_table_scrolls_and_says_so(written):
    """Its box can be scrolled by keyboard, a hint stands before it, and headings wrap so that wide screens hold it."""
    text = (written[0] / "report.html").read_text(encoding="utf-8")
    hint, box = text.index("this table scrolls sideways"), text.index('tabindex="0"><table><thead>')
    assert hint < box and re.search(r"thead th \{[^}]*white-space: normal", text)
    assert re.search(r"@media screen and \(max-width: \d+rem\) \{\s*\.hint \{ display: block; \}", text)


@pytest.fixture
def no_plots(monkeypatch):
    """For what is not about plots, which take most of a report's time."""

    def draw(runs, settings, data, folder):
        (folder / "loss.svg").write_text("<svg/>")
        return []

    monkeypatch.setattr(page, "draw", draw)


def without_place(folder):
    document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    document.pop("command")
    return document


def test_a_seed_gives_the_same_report_and_replaces_the_earlier(table, tmp_path, no_plots):
    path = table(flowers())
    found = []
    for out, seed in (("a", "3"), ("b", "3"), ("a", "4")):
        assert main(["report", "--data", path, "--target", "<b>kind", "--drop", "id", "--out", str(tmp_path / out),
                     "--activations", "relu,tanh", "--seed", seed, *SMALL]) == 0  # fmt: skip
        found.append(without_place(tmp_path / out))
    assert found[0] == found[1] != found[2]
    assert list(found[0]["activations"]) == ["relu", "tanh"]
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "a", "b"}


def test_a_dropped_column_may_have_a_comma_in_its_name(tmp_path, no_plots, capsys):
    """In quotes; and the command that the report shows drops the same columns."""
    rows = "".join(f"{i},no number,{i * i},{i},{'ab'[i % 2]}\n" for i in range(30))
    (tmp_path / "table.csv").write_text('x,"height, cm",z,,y\n' + rows)
    arguments = ["report", "--data", str(tmp_path / "table.csv"), "--target", "y", "--activations", "relu", *SMALL]
    assert main([*arguments, "--out", str(tmp_path / "a"), "--drop", '"height, cm",z,']) == 0
    first = without_place(tmp_path / "a")
    assert first["data"]["features"] == ["x"]
    command = json.loads((tmp_path / "a" / "report.json").read_text(encoding="utf-8"))["command"]
    again = shlex.split(command)[3:]
    again[again.index("--out") + 1] = str(tmp_path / "b")
    assert main(again) == 0 and without_place(tmp_path / "b") == first
    assert main([*arguments, "--out", str(tmp_path / "a"), "--drop", ""]) == 2  # the column without a name alone
    capsys.readouterr()
    assert main([*arguments, "--out", str(tmp_path / "a"), "--drop", "height, cm"]) == 2
    assert "has no column 'height'" in (error := capsys.readouterr().err) and "wants quotes around" in error


def test_a_regression_from_an_npz_file_that_diverges(tmp_path):
    """One activation's end is a finding, and the others' reports are there."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 2, 2))
    np.savez(tmp_path / "data.npz", X=X, extra=np.arange(40), y=X[:, 0, 0] + 0.5)
    arguments = ["report", "--data", str(tmp_path / "data.npz"), "--target", "y", "--out", str(tmp_path / "o"), *SMALL]
    assert main([*arguments, "--activations", "sigmoid,relu", "--learning-rate", "1e20"]) == 0
    document = json.loads((tmp_path / "o" / "report.json").read_text(encoding="utf-8"))
    assert document["data"]["task"] == "regression" and len(document["data"]["features"]) == 5
    assert any("relu: training ended early" in finding for finding in document["findings"])
    assert main([*arguments, "--activations", "relu"]) == 0
    assert (tmp_path / "o" / "r2.svg").exists()


@pytest.mark.parametrize(
    ("rows", "options", "task", "classes"),
    [
        ([f"{i},{['no', 'yes'][i % 2]}" for i in range(30)], {}, "classification", ["no", "yes"]),
        ([f"{i},{1000001 + i % 2}" for i in range(30)], {}, "classification", ["1000001", "1000002"]),
        ([f"{i},{i % 20 - 3}" for i in range(40)], {}, "classification", None),
        ([f"{i},{i % 21}" for i in range(42)], {}, "regression", None),
        ([f"{i},{i % 3 + 0.5}" for i in range(30)], {}, "regression", None),
        ([f"{i},{i % 3 + 0.5}" for i in range(30)], {"task": "classification"}, "classification", THREE),
        ([f"{i},{i % 3}" for i in range(30)], {"task": "regression"}, "regression", None),
    ],
)
def test_the_task_is_seen_from_the_target(table, rows, options, task, classes):
    found = _datasets.load(table("x,y\n" + "\n".join(rows)), "y", **options)
    assert found.task == task and (found.classes is None) == (task == "regression")
    assert classes is None or found.classes == classes
    assert ("--task" in found.reason) == bool(options)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_as_others_write_it(table, delimiter):
    """A byte order mark, CRLF, quotes, spaces, blank lines, other delimiters."""
    text = '\ufeff"a b", c,y\r\n' + '1.5,"-2e-3",0\r\n\r\n 3 ,4,1\r\n' * 10
    found = _datasets.load(table(text.replace(",", delimiter)), "y")
    assert found.features == ["a b", "c"] and found.classes == ["0", "1"]
    assert found.X[:2].tolist() == [[1.5, -0.002], [3.0, 4.0]] and found.y[:2].tolist() == [0, 1]


def test_split_is_of_all_classes_and_scaled_by_the_training_rows():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [60, 25, 15])
    X = np.column_stack([rng.normal(1e6, 3.0, 100), np.full(100, 7.0)])
    dataset = _datasets.Dataset("", X, y, ["a", "b"], "y", "classification", "", ["0", "1", "2"])
    found = _datasets.split(dataset, 0)
    assert np.bincount(found.y_validation).tolist() == [12, 5, 3] and found.baseline == 0.6
    assert found.X.dtype == np.float32 and (found.X[:, 1] == 0.0).all()
    np.testing.assert_allclose([found.X[:, 0].mean(), found.X[:, 0].std()], [0.0, 1.0], atol=1e-6)
    whole = np.concatenate([found.X[:, 0], found.X_validation[:, 0]])
    assert len(np.unique(whole)) == 100
    assert (_datasets.split(dataset, 0).X == found.X).all() and (_datasets.split(dataset, 1).X != found.X).any()


def test_a_column_constant_in_training_is_not_scaled_by_rounding():
    X = np.full((100, 1), 0.7)
    y = np.linspace(0.0, 1.0, 100)
    assert X[:80].std(axis=0) > 0.0  # though all are equal: 80 * 0.7 is rounded
    dataset = _datasets.Dataset("", X, y, ["a"], "y", "regression", "", None)
    assert (np.abs(_datasets.split(dataset, 0).X) < 1e-15).all()


ROWS = "".join(f"{i},{i % 7},{'ab'[i % 2]}\n" for i in range(40))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "table.csv is empty"),
        ("x,z,w\n" + ROWS, "--target: table.csv has no column 'y'; it has 'x', 'z', 'w'"),
        ("x,x,y\n" + ROWS, "2 columns named 'x'"),
        ("x,z,y\n1,2,a\n1,2\n", "table.csv, line 3: 2 fields, but 3 names in line 1"),
        ("x,z,y\n1,2,a\n1,red,a\n", "table.csv, line 3, column 'z': 'red' is not a number (--drop leaves columns out)"),
        ("x,z,y\n1,1_0,a\n", "table.csv, line 2, column 'z': '1_0' is not a number"),
        ("x,z,y\n1,,a\n", "table.csv, line 2, column 'z': a number is missing"),
        ("x,z,y\n" + ROWS + "1,NaN,a\n", "table.csv, line 42, column 'z': a number is missing (nan)"),
        ("x,z,y\n" + ROWS + "1,-inf,a\n", "table.csv, line 42, column 'z': -inf is not finite"),
        ("x,z,y\n" + ROWS + "1,2,\n", "table.csv, line 42, column 'y': a number is missing"),
        ("x,y\n" + "1,2\n3,inf\n" * 20, "table.csv, line 3, column 'y': inf is not finite"),
        ("x,y\n" + "1,2\n3,2\n" * 20, "the target 'y' is 2.0 in every row: there is nothing to learn"),
        ("x,y\n" + "1,no\n3,no\n" * 20, "the target 'y' is 'no' in every row"),
        ("x,y\n1,2\n3,4\n", "has 2 rows, at least 20 are needed"),
        ("y\n" + "1\n2\n" * 20, "no column beside the target"),
        ("x,y\n" + "".join(f"1,{i}x\n" for i in range(101)), "101 distinct strings, too many for classes"),
        ("x,y\n" + "1e300,2\n-1e308,3\n" * 20, "column 'x' has numbers too large to be scaled"),
        ("x,y\n" + "1e300,2\n-2e300,3\n" * 20, "column 'x' has numbers too large to be scaled"),
        ("x,y\n" + "1e-300,2\n3e-300,3\n" * 20, "column 'x' has differences too small to be scaled, 2e-300"),
        ("x,y\n" + "1,2e-300\n2,3.5e-300\n" * 20, "column 'y' has differences too small to be scaled"),
        (b"x,y\n\xff\xfe\n", "table.csv is not a text in UTF-8"),
        ('x,y\n"1,2\n', "table.csv is not a CSV file"),
    ],
)
def test_bad_tables(table, tmp_path, capsys, text, words):
    out = tmp_path / "out"
    assert main(["report", "--data", table(text), "--target", "y", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


X = np.arange(60.0).reshape(30, 2)
Y = np.arange(30.0)


def test_regression_of_numbers_that_are_strings(tmp_path, capsys):
    np.savez(tmp_path / "data.npz", X=X, y=Y.astype("U"))
    arguments = ["report", "--data", str(tmp_path / "data.npz"), "--target", "y", "--task", "regression"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert "--task regression: the target 'y' holds strings, '0.0' for one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"X": X}, "--target: data.npz has no array 'y'; it has 'X'"),
        ({"X": X, "y": np.zeros((30, 2))}, "the target 'y' must have shape (rows,), got (30, 2)"),
        ({"X": X[:-1], "y": Y}, "array 'X' has shape (29, 2), 'y' 30 rows"),
        ({"X": np.full((30, 2), "a"), "y": Y}, "array 'X' is of <U1, no numbers"),
        ({"X": np.where(X == 7.0, np.nan, X), "y": Y}, "X[3, 1]: a number is missing (nan)"),
        ({"X": X, "y": np.where(Y == 7.0, np.inf, Y)}, "y[7]: inf is not finite"),
        ({"X": X, "y": Y * 1j}, "the target 'y' must hold numbers or strings, got complex128"),
        ({"X": X, "y": np.array([None] * 30)}, "array 'y' cannot be read: Object arrays"),
        ({}, "data.npz is empty: it holds no array"),
        (b"no archive", "data.npz is not an NPZ file"),
    ],
)
def test_bad_archives(tmp_path, capsys, arrays, words):
    path = tmp_path / "data.npz"
    path.write_bytes(arrays) if isinstance(arrays, bytes) else np.savez(path, **arrays)
    assert main(["report", "--data", str(path), "--target", "y", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "none.csv", "--target", "y"], "none.csv cannot be read: No such file or directory"),
        (["--data", ".csv", "--target", "y"], "--data must be digits, a .csv or a .npz file, got '.csv'"),
        (["--data", "digits", "--target", "y"], "--target and --drop are for files"),
        (["--data", "good.csv"], "--target must name the column of good.csv"),
        (["--data", "good.csv", "--target", "y", "--drop", "y"], "--drop names the target, 'y'"),
        (["--data", "good.csv", "--target", "y", "--drop", "w"], "--drop: good.csv has no column 'w'"),
        (["--data", "good.csv", "--target", "y", "--task", "regression"], "holds strings, 'a' for one"),
        (["--data", "good.csv", "--target", "y", "--activations", "relu,swish"], "must be all or some of sigmoid,"),
        (["--data", "good.csv", "--target", "y", "--depth", "0"], "--depth: must be between 1 and 100, got 0"),
        (["--data", "good.csv", "--target", "y", "--learning-rate", "0"], "--learning-rate: must be above 0, got 0"),
        (["--data", "good.csv", "--target", "y", "--momentum", "1"], "must be at least 0 and below 1, got 1"),
        (["--data", "good.csv", "--target", "y", "--negative-slope", "nan"], "--negative-slope: must be finite"),
        (["--data", "good.csv", "--target", "y", "--out", "good.csv"], "--out good.csv is not a folder"),
        (["--data", "good.csv", "--target", "y", "--out", "good.csv/out"], "--out good.csv/out: "),
        (["--data", "good.csv", "--target", "y", "--out", "mine"], "--out mine holds what no report has written (a"),
        ([], "the following arguments are required: --data, --out"),
    ],
)
def test_bad_command_lines(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text("x,z,y\n" + ROWS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").touch()
    out = [] if "--out" in arguments or not arguments else ["--out", "out"]
    try:
        status = main(["report", *arguments, *out])
    except SystemExit as error:
        status = error.code
    message = capsys.readouterr().err
    assert status == 2 and words in message and len(message.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"good.csv", "mine"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError(28, "No space left on device")])
def test_nothing_half_written(table, tmp_path, monkeypatch, capsys, no_plots, error):
    """An earlier report stays, whole, when a later one ends early."""
    arguments = ["report", "--data", table(flowers()), "--target", "<b>kind", "--drop", "id", "--activations",
                 "relu", "--out", str(tmp_path / "out"), *SMALL]  # fmt: skip
    assert main(arguments) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def fail(*_):
        raise error

    monkeypatch.setattr(page, "html", fail)
    capsys.readouterr()
    if error is MemoryError:
        with pytest.raises(MemoryError):
            main(arguments)
    elif isinstance(error, OSError):
        assert main(arguments) == 1
        message = f"--out {tmp_path / 'out'}: the report cannot be written: No space left on device"
        assert message in capsys.readouterr().err
    else:
        assert main(arguments) == 130
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "out"}


def test_missing_packages(monkeypatch, tmp_path, capsys):
    arguments = ["report", "--data", "digits", "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "sklearn.datasets", None)
        with pytest.raises(CommandError, match=r'pip install "fastact\[demo\]"'):
            _datasets.load("digits", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(arguments) == 1
    assert 'pip install "fastact[plot]"' in capsys.readouterr().err and not any(tmp_path.iterdir())


def test_the_current_folder_is_refused_before_training(table, tmp_path, monkeypatch, capsys):
    path = table(flowers())
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    for out in (".", "..", str(tmp_path / "inner")):
        assert main(["report", "--data", path, "--target", "<b>kind", "--drop", "id", "--out", out, *SMALL]) == 2
        message = capsys.readouterr().err
        assert "is the current folder" in message and len(message.splitlines()) == 1


def test_a_slope_beyond_float32(table, tmp_path, capsys):
    arguments = ["--target", "<b>kind", "--drop", "id", "--out", str(tmp_path / "out"), "--negative-slope", "1e300"]
    with pytest.raises(SystemExit) as end:
        main(["report", "--data", table(flowers()), *arguments, *SMALL])
    assert end.value.code == 2
    assert "--negative-slope: must be finite in float32, got 1e300" in capsys.readouterr().err


def test_no_r2_of_a_target_that_is_constant_in_validation(table, tmp_path, capsys):
    text = "x,y\n" + "".join(f"{row},{0.25 + (row == 0) * 0.25}\n" for row in range(60))
    arguments = ["--target", "y", "--task", "regression", "--out", str(tmp_path / "out"), *SMALL]
    assert main(["report", "--data", table(text), *arguments]) == 2
    message = capsys.readouterr().err
    assert "column 'y' is 0.25 in all 12 validation rows" in message and not (tmp_path / "out").exists()
