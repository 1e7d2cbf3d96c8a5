"""What the benchmarks share: the libraries, all on the same number of threads, and times in nanoseconds."""

import pytest

from fastact import runtime


def pytest_addoption(parser):
    parser.addoption("--threads", type=int, default=1, help="threads of every library (1)")


def pytest_configure(config):
    config.addinivalue_line("markers", "smoke: a short selection, to see that the benchmarks run")
    threads, most = config.getoption("--threads"), runtime._processors()
    if not 1 <= threads <= most:
        raise pytest.UsageError(f"--threads must be between 1 and {most}, the usable processors, got {threads}")


def pytest_benchmark_scale_unit(config, unit, benchmarks, best, worst, sort):
    """Times in nanoseconds, so that rows of one group compare at a glance."""
    return ("n", 1e9) if unit == "seconds" else ("", 1.0)


@pytest.fixture(scope="session")
def threads(request):
    return request.config.getoption("--threads")


@pytest.fixture(scope="session")
def libraries(threads):
    """The libraries by name; for one that is not installed, the reason."""
    from fastact.benchmarks import peers

    found, absent = peers.load(threads)
    return {library.name: library for library in found} | absent


@pytest.fixture(scope="session", autouse=True)
def blas_threads(threads):
    import threadpoolctl

    with threadpoolctl.threadpool_limits(threads, user_api="blas"):
        yield
