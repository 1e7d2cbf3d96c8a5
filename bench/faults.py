"""Faults of training past one machine, tried and counted: the table of docs/scaling.md.

    python bench/faults.py                # ten trials of each, some minutes

Each trial trains a network, lets one thing go wrong at a random moment, and counts it as come through where no process
was left hanging, the error said what to do, nothing was lost beyond the last checkpoint, and the training that was then
resumed (or that was not disturbed) ended with the weights of one in which nothing happens.
"""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from fastact import distributed, nn

EPOCHS, STEPS = 6, 8
HANGING = 60  # seconds after which a job counts as hanging
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((16 * STEPS, 6)), RNG.integers(0, 3, 16 * STEPS)
OPTIONS = {"loss": "softmax_cross_entropy", "epochs": EPOCHS, "batch_size": 16}


class Fault(nn.Callback):
    """Calls a function once, before a step of an epoch."""

    def __init__(self, epoch, batch, function):
        self.place, self.function = (epoch, batch), function

    def on_batch_begin(self, model, epoch, batch):
        if (epoch, batch) == self.place:
            self.function()


def network():
    return nn.Sequential([nn.Dense(6, 16, "tanh", dtype=float), nn.Dense(16, 3, dtype=float)], seed=0)


def weights(model):
    return np.concatenate([parameter.value.ravel() for parameter in model.parameters()])


def whole():
    """The weights after a training of one process, rows in their order."""
    model = network()
    model.fit(X, Y, optimizer=nn.Adam(0.01), shuffle=False, **OPTIONS)
    return weights(model)


# ------------------------------------------------------------------------------------------------------------- MPI


def rank_main(path, fault, epoch, batch, resume):
    """One rank of a training; prints whether its weights are those of `whole`."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    faults = {
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "raise": lambda: 1 / 0,
        "slow": lambda: None,
        "none": lambda: None,
    }
    here = comm.rank == comm.size - 1
    callbacks = [Fault(epoch, batch, faults[fault])] if here else [Fault(0, 0, None)]
    if fault == "slow":
        callbacks += [Slow(0.01 * here)]
    model, mine = network(), slice(comm.rank, None, comm.size)
    model.fit(X[mine], Y[mine], optimizer=nn.Adam(0.01), shuffle=False, comm=comm,
              callbacks=[*callbacks, nn.Checkpoint(path)], resume_from=path if resume else None, **OPTIONS)  # fmt: skip
    if comm.rank == 0:
        print("same" if np.abs(weights(model) - whole()).max() < 1e-12 else "other", flush=True)


class Slow(nn.Callback):
    """Makes every step take so much longer: ten times as long as it takes, or more."""

    def __init__(self, seconds):
        self.seconds = seconds

    def on_batch_begin(self, model, epoch, batch):
        time.sleep(self.seconds)


def job(path, ranks, fault="none", epoch=0, batch=0, resume=False):
    """Run a job of MPI; return its exit status, None where it hangs, and what it printed."""
    environment = ["env", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1"]
    command = ["mpiexec", "-n", str(ranks), *environment, sys.executable, __file__, "--rank", str(path), fault]
    command += [str(epoch), str(batch), str(int(resume))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          start_new_session=True) as process:  # fmt: skip
        try:
            said, _ = process.communicate(timeout=HANGING)
            return process.returncode, said
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None, ""


def rank_dies(how, words):
    def trial(rng, folder):
        path = folder / "run"
        epoch, batch = int(rng.integers(2, EPOCHS + 1)), int(rng.integers(1, STEPS + 1))
        status, said = job(path, 2, how, epoch, batch)
        resumed = int(rng.choice([1, 2, 4]))
        return (
            status not in (0, None)
            and bool(re.search(words, said))
            and nn.load(path).history.epochs == epoch - 1
            and job(path, resumed, resume=True) == (0, "same\n")
        )

    return trial


def slow_rank(rng, folder):
    return job(folder / "run", 2, "slow") == (0, "same\n")


# ------------------------------------------------------------------------------------------------------------ Dask


def on_dask(client, callbacks):
    import dask.array as da

    model, chunks = network(), (2 * STEPS, 6)
    arrays = [da.from_array(array, chunks=chunks[: array.ndim]) for array in (X, Y)]
    distributed.fit(model, *arrays, optimizer=nn.Adam(0.01), callbacks=callbacks, client=client, **OPTIONS)
    return weights(model)


def worker_trial(act):
    """A trial in a cluster of two processes; ``act(client)`` returns what to call at a random step."""

    def trial(rng, folder):
        from distributed import Client, LocalCluster

        place = int(rng.integers(1, EPOCHS + 1)), int(rng.integers(1, STEPS + 1))
        with (
            LocalCluster(2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
            Client(cluster) as client,
        ):
            return bool((on_dask(client, [Fault(*place, act(client, rng))]) == on_dask(client, [])).all())

    return trial


def kill_worker(client, rng):
    victim = int(rng.choice(list(client.run(os.getpid).values())))
    return threading.Timer(rng.uniform(0, 0.05), os.kill, (victim, signal.SIGKILL)).start  # within a step or the next


def slow_worker(client, rng):
    def slow():
        client.run(_slow_down, workers=[next(iter(client.scheduler_info()["workers"]))])

    return slow


def _slow_down():
    from fastact.distributed import dask as module

    def slower(*arguments, with_weights=module._with_weights):
        time.sleep(0.02)
        return with_weights(*arguments)

    module._with_weights = slower


# ----------------------------------------------------------------------------------------------------- checkpoints


def train(path, *callbacks, **options):
    model = network()
    model.fit(X, Y, optimizer=nn.Adam(0.01), shuffle=False, callbacks=[*callbacks, nn.Checkpoint(path)],
              **OPTIONS | options)  # fmt: skip
    return weights(model)


def full_disk(rng, folder):
    """A file system of its own, filled in the middle of the training."""
    epoch = int(rng.integers(2, EPOCHS + 1))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:

        def fill():
            with contextlib.suppress(OSError), open(folder / "filling", "wb", buffering=0) as file:
                while True:
                    file.write(bytes(1000))

        try:
            train(folder / "run", Fault(epoch, 1, fill))
            return False
        except OSError as error:
            said = f"the checkpoint of epoch {epoch} is not written, the one before is whole" in str(error)
        (folder / "filling").unlink()
        kept = nn.load(folder / "run").history.epochs == epoch - 1
        left = sorted(os.listdir(folder)) == ["run"]
        return said and kept and left and (train(folder / "run", resume_from=folder / "run") == whole()).all()
    finally:
        subprocess.run(["umount", folder], check=True)


def corrupted(rng, folder):
    """One byte of the checkpoint changed, anywhere."""
    path = folder / "run"
    train(path, epochs=2)
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
    path.write_bytes(content)
    try:
        train(folder / "other", resume_from=path)
    except ValueError as error:
        return str(path) in str(error)
    return False


def two_jobs(rng, folder):
    """Another process trains into the same path at the same time; one of the two is refused."""
    command = [sys.executable, __file__, "--train", str(folder / "run")]
    jobs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [job.communicate(timeout=HANGING)[1] for job in jobs]
    refused = [words for job, words in zip(jobs, said, strict=True) if job.returncode]
    return (
        len(refused) == 1
        and re.search(r"process \d+ on .* writes this checkpoint: choose another path", refused[0]) is not None
        and nn.load(folder / "run").history.epochs == EPOCHS
    )


FAULTS = {
    "a rank of MPI killed with SIGKILL in an epoch": rank_dies("kill", "[Kk]illed|KILLED|signal 9"),
    "a rank of MPI that raises an error": rank_dies("raise", r"ZeroDivisionError.*\n?.*ends the job; fit\(resume_from"),
    "a rank of MPI ten times slower": slow_rank,
    "a worker of Dask killed with SIGKILL in an epoch": worker_trial(kill_worker),
    "a worker of Dask ten times slower": worker_trial(slow_worker),
    "a disk that is full when a checkpoint is written": full_disk,
    "a checkpoint in which a byte has changed": corrupted,
    "two trainings that write to one path": two_jobs,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10, help="of each fault (10)")
    parser.add_argument("--rank", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank:
        path, fault, *numbers = options.rank
        rank_main(path, fault, *map(int, numbers))
    elif options.train:
        train(options.train, Slow(0.05))
    else:
        print("| fault | trials | come through |\n| --- | --- | --- |")
        rng = np.random.default_rng()
        for name, trial in FAULTS.items():
            good = 0
            for _ in range(options.trials):
                with tempfile.TemporaryDirectory() as folder:
                    good += bool(trial(rng, Path(folder)))
            print(f"| {name} | {options.trials} | {good} |", flush=True)


if __name__ == "__main__":
    main()
