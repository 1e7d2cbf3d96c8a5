"""The command line, as a user runs it: in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

import fastact

ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "error"}


def run(*arguments, **settings):
    settings = {"capture_output": True, "text": True, "timeout": 120, "env": ENVIRONMENT, **settings}
    return subprocess.run([sys.executable, "-m", "fastact", *arguments], check=False, **settings)


def test_info():
    program = [sys.executable, "-c", "import fastact; fastact.show_config()"]
    wanted = subprocess.run(program, capture_output=True, text=True, check=True, timeout=120, env=ENVIRONMENT)
    result = run("info")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == wanted.stdout and result.stdout.startswith(f"fastact          {fastact.__version__}")


def test_version():
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"fastact {fastact.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["info", "demo", "exit status"]),
        (["info", "--help"], ["FASTACT_ISA", "exit status"]),
        (["report", "--help"], ["--data", "--target", "--out", "--activations", "--seed", "exit status"]),
        (["train", "--help"], ["--data", "--target", "--out", "--layers", "--learning-rate", "--seed", "exit status"]),
        (["verify", "--help"], ["--plain", "--quick", "exit status"]),
        (["demo", "--help"], ["--epochs", "--seed", "--width", "--batch-size", "--quick", "exit status"]),
        (["gradients", "--help"], ["--depth", "--activation", "--init", "--data", "--dying-relu", "exit status"]),
    ],
)
def test_help(arguments, words):
    result = run(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert all(word in result.stdout for word in words)
    assert max(map(len, result.stdout.splitlines())) <= 120


def test_no_command():
    result = run()
    assert (result.returncode, result.stdout) == (2, "")
    assert "usage: fastact" in result.stderr and "demo" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["brew"], "invalid choice: 'brew'"),
        (["info", "--loud"], "unrecognized arguments: --loud"),
        (["demo", "--epochs", "0"], "argument --epochs: must be at least 1, got 0"),
        (["demo", "--epochs", "many"], "argument --epochs: must be an integer, got 'many'"),
        (["demo", "--width", "100000"], "argument --width: must be between 1 and 4096, got 100000"),
        (["demo", "--batch-size", "-3"], "argument --batch-size: must be at least 1, got -3"),
        (["demo", "--seed", "-1"], "argument --seed: must be at least 0, got -1"),
        (["demo", "--seed"], "argument --seed: expected one argument"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, words):
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"FASTACT_ISA": "abacus"}, "FASTACT_ISA='abacus' cannot be had on this processor; available: "),
        ({"FASTACT_NUM_THREADS": "many"}, "FASTACT_NUM_THREADS must be a whole number between 1 and 1024, got 'many'"),
    ],
    ids=str,
)
@pytest.mark.parametrize("way", ["module", "script"])
def test_bad_environment_is_one_line_and_status_2(tmp_path, way, setting, words):
    script = tmp_path / "fastact"  # as pip writes it
    script.write_text("import sys\nfrom fastact.cli import main\nsys.exit(main())\n")
    program = ["-m", "fastact"] if way == "module" else [script]
    result = subprocess.run(
        [sys.executable, *program, "verify", "--quick"], env=ENVIRONMENT | setting, check=False,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"fastact: error: {words}") and len(result.stderr.splitlines()) == 1
    imported = subprocess.run(  # a program is told by an exception, as before
        [sys.executable, "-c", "import fastact"], env=ENVIRONMENT | setting, check=False,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert imported.returncode == 1 and f"ValueError: {words}" in imported.stderr


def rows_of(table):
    """The demo's table: activation -> (accuracy, gradient ratio, dead, zeros, ms, NumPy's ms, ratio), None for '-'."""
    rows = {}
    for line in table.splitlines():
        words = line.replace("%", "").split()
        if words and words[0] in ("sigmoid", "tanh", "relu", "leaky_relu") and len(words) == 8:
            rows[words[0]] = [None if word == "-" else float(word) for word in words[1:]]
    return rows


def test_demo():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    result = run("demo", "--quick", "--epochs", "8")
    assert result.returncode == 0
    assert max(map(len, result.stdout.splitlines())) <= 110
    assert "\r" not in result.stdout and "demo:" not in result.stdout and "demo:" in result.stderr
    rows = rows_of(result.stdout)
    assert list(rows) == ["sigmoid", "tanh", "relu", "leaky_relu"]
    for name, (accuracy, ratio, dead, zeros, ms, numpy_ms, speedup) in rows.items():
        assert (accuracy < 30 and ratio < 1e-4) if name == "sigmoid" else (accuracy > 80 and ratio > 0.05)
        assert (dead is None) == (name in ("sigmoid", "tanh"))
        assert (zeros > 20) == (name == "relu")
        assert speedup == pytest.approx(numpy_ms / ms, abs=0.02)
    assert re.search(r"0\.25\^10 = 9\.5e-07", result.stdout)
    assert f"instruction set {fastact.get_isa()}" in result.stdout


def test_demo_of_one_seed_gives_one_result():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    settings = ["demo", "--quick", "--epochs", "1", "--width", "16", "--batch-size", "100"]
    tables = [rows_of(run(*settings, "--seed", seed).stdout) for seed in ("7", "7", "8")]
    found = [{name: row[:4] for name, row in table.items()} for table in tables]
    assert found[0] == found[1] != found[2]


def test_missing_scikit_learn_is_one_line(tmp_path):
    (tmp_path / "sklearn.py").write_text("raise ImportError(\"No module named 'sklearn'\")\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    result = run("demo", "--quick", env={**ENVIRONMENT, "PYTHONPATH": path})
    assert (result.returncode, result.stdout) == (1, "")
    assert 'pip install "fastact[demo]"' in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")
def test_closed_pipe():
    read, write = os.pipe()
    os.close(read)
    try:
        result = run("info", capture_output=False, stdout=write, stderr=subprocess.PIPE)
    finally:
        os.close(write)
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")
def test_interrupt():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    process = subprocess.Popen(
        [sys.executable, "-m", "fastact", "demo", "--epochs", "100000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )
    with process:
        time.sleep(4.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err and err.splitlines()[-1] == "interrupted"
