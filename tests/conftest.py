"""What every test gets: a seeded generator, and the certainty that the instruction set asked for runs."""

import os
import signal
import tempfile

import numpy as np
import pytest
from hypothesis.configuration import set_hypothesis_home_dir

import fastact


def pytest_configure(config):
    """What Hypothesis keeps goes into a directory that ends with the run, not into the current one; and children of a
    run in the background of a shell, which ignores SIGINT, can be interrupted all the same."""
    directory = tempfile.TemporaryDirectory()
    config.add_cleanup(directory.cleanup)
    set_hypothesis_home_dir(directory.name)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header():
    return f"fastact: instruction set {fastact.get_isa()}, {fastact.get_num_threads()} threads"


@pytest.fixture(scope="session", autouse=True)
def isa_asked_for():
    """Where FASTACT_ISA is set, it must be what runs: no test may pass at another level."""
    asked = os.environ.get("FASTACT_ISA")
    if asked:
        assert fastact.get_isa() == asked


@pytest.fixture
def rng(request):
    """A generator seeded by the test's name: a failure repeats itself."""
    return np.random.default_rng(list(request.node.name.encode()))


@pytest.fixture(autouse=True)
def threads_kept():
    """No test leaves another number of threads behind."""
    before = fastact.get_num_threads()
    yield
    if fastact.get_num_threads() != before:
        fastact.set_num_threads(before)
