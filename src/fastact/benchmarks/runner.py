"""Runs the cases, a process for each instruction set and number of threads, and collects the rows."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

import fastact
from fastact import runtime
from fastact._commands import CommandError
from fastact.benchmarks.cases import PLANS, format_threads
from fastact.nn.progress import Progress

FORMAT = 1

# Variables that are taken out of the environment, to start from the libraries' defaults; OpenBLAS by itself picks
# better kernels than its two variables name.
DROPPED_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS",
                     "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "NUMBA_CPU_NAME",
                     "NUMBA_CPU_FEATURES", "NUMBA_DISABLE_JIT")  # fmt: skip
THREAD_VARIABLES = ("FASTACT_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
                    "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMEXPR_MAX_THREADS", "NUMBA_NUM_THREADS")  # fmt: skip


def level_variables(level: str) -> dict[str, str]:
    """Return the environment variables that hold fastact, and those peers that can be held, to an instruction set."""
    variables = {"FASTACT_ISA": level}
    if level in ("avx2", "baseline"):
        avx2 = level == "avx2"
        variables |= {
            "ATEN_CPU_CAPABILITY": "avx2" if avx2 else "default",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2" if avx2 else "SSE4_2",  # PyTorch's tanh, on Intel's processors
            "NPY_DISABLE_CPU_FEATURES": " ".join(_numpy_features_above(level)),
            "XLA_FLAGS": f"--xla_cpu_max_isa={'AVX2' if avx2 else 'SSE4_2'}",
            "NUMBA_CPU_NAME": "x86-64-v3" if avx2 else "x86-64-v2",
            # the name has these; where no features are given Numba adds all that the host has
            "NUMBA_CPU_FEATURES": "+avx2,+fma" if avx2 else "+sse4.2",
        }
    return {name: value for name, value in variables.items() if value}


def _numpy_features_above(level):
    """Return the features that NumPy would dispatch to on this machine and that a level has not."""
    from numpy._core import _multiarray_umath as umath

    return [
        feature
        for feature in umath.__cpu_dispatch__
        if umath.__cpu_features__.get(feature)
        and (level == "baseline" or feature.startswith(("AVX512", "X86_V4")))
    ]


def child_environment(level: str, threads: int, numba_cache: str) -> dict[str, str]:
    """Return the environment of a process that measures."""
    environment = {name: value for name, value in os.environ.items() if name not in DROPPED_VARIABLES}
    environment |= dict.fromkeys(THREAD_VARIABLES, str(threads)) | level_variables(level)
    return environment | {"NUMBA_CACHE_DIR": numba_cache, "PYTHONWARNINGS": "ignore", "TF_CPP_MIN_LOG_LEVEL": "3"}


def machine():
    """Return what the report says of the machine."""
    return {
        "processor": runtime.processor_name(),
        "model": _family_and_model(),
        "processors": runtime._processors(),
        "system": f"{platform.system()} {platform.machine()}",
        "levels": fastact.available_isas(),
    }


def _family_and_model():
    """Return "family 25, model 17" and the like: names such as "AMD EPYC" tell no generation apart."""
    found = {}
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                found.setdefault(name.strip(), value.strip())
    except OSError:
        pass
    return ", ".join(f"{name.split()[-1]} {found[name]}" for name in ("cpu family", "model") if name in found)


class Run:
    """One run: its rows so far, and where they were measured.

    Parameters
    ----------
    kind : str
        A name of `cases.PLANS`.
    command : str
        What the user typed.
    """

    def __init__(self, kind: str, command: str) -> None:
        self.cases, self.settings = PLANS[kind]()
        self.document: dict[str, Any] = {
            "format": FORMAT,
            "kind": kind,
            "command": command,
            "date": time.strftime("%Y-%m-%d"),
            "machine": machine(),
            "versions": {"fastact": fastact.__version__, "python": platform.python_version(), "numpy": np.__version__},
            "settings": self.settings._asdict(),
            "complete": False,
            "cases": len(self.cases),
            "environments": [],
            "rows": [],
        }

    def measure(self):
        """Measure all cases, with progress on standard error.

        Raises
        ------
        CommandError
            A process that measures failed. The rows so far are kept.
        KeyboardInterrupt
            Likewise.
        """
        start = time.perf_counter()
        with Progress(len(self.cases), "bench") as bar, tempfile.TemporaryDirectory() as cache:
            try:
                for level in self.document["machine"]["levels"]:
                    for threads in sorted({case.threads for case in self.cases if case.level == level}):
                        self._run_process(level, threads, cache, bar)
                self.document["complete"] = True
            finally:
                self.document["seconds"] = round(time.perf_counter() - start, 1)

    def _run_process(self, level, threads, cache, bar):
        """Measure the cases of one instruction set and number of threads, in a process that `worker` runs."""
        setting = f"{level}, {format_threads(threads)}"
        cases = [case for case in self.cases if (case.level, case.threads) == (level, threads)]
        request = {
            "threads": threads,
            "settings": self.settings._asdict(),
            "cases": [case._asdict() for case in cases],
        }
        with tempfile.TemporaryFile("w+", errors="backslashreplace") as errors, subprocess.Popen(
            [sys.executable, "-m", "fastact.benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=child_environment(level, threads, cache),
        ) as process:
            try:
                process.stdin.write(json.dumps(request))
                process.stdin.close()
                bar.note(f"{setting}: loading the libraries")
                for line in process.stdout:
                    message = json.loads(line)
                    if "environment" in message:
                        self.document["environments"].append(
                            {"level": level, "threads": threads, **message["environment"]}
                        )
                        continue
                    self.document["rows"].append(message)
                    case = message["case"]
                    bar.note(f"{setting}: {case['group']} {case['operation']}")
                    bar.update()
                status = process.wait()
            except BaseException:
                process.kill()
                raise
            if status:
                errors.seek(0)
                last = (errors.read().strip().splitlines() or ["no message"])[-1]
                raise CommandError(f"the process that measures ({setting}) ended with status {status}: {last}")
