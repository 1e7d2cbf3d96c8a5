def pytest_benchmark_scale_unit(config, unit, benchmarks, best, worst, sort):
    """Times in nanoseconds, so that rows of one group compare at a glance."""
    return ("n", 1e9) if unit == "seconds" else ("", 1.0)
