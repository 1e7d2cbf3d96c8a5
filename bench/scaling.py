"""What a step of `fit(comm=...)` costs on one rank and on two, and what that says about many machines.

    python bench/scaling.py                  # two minutes: measures by mpiexec, prints the tables of docs/scaling.md

The model of a step on p ranks of r rows each, of a network of n parameters, is that of a ring ::

    t(p, r) = o + (u + c r) n  +  2 (p - 1) / p · 4 n / B + 2 (p - 1) · L

with o, u and c fitted to steps on one rank, B (bytes a second) and L (seconds a message) to the `Allreduce` on two.
Nothing is fitted to what then tests it: steps on two ranks, and on 2, 4 and 8 with a communicator whose ring waits
before each message as long as a network of a given latency and bandwidth would take.
"""

import argparse
import itertools
import json
import subprocess
import sys
import time

import numpy as np

from fastact import nn, runtime

NETWORKS = {"small": (64, 128, 128, 10), "middle": (784, 512, 512, 10), "large": (1024, 1024, 1024, 1024, 10)}
ROWS = (32, 128, 512)  # a rank
SIZES = (10**3, 10**4, 10**5, 10**6, 10**7)  # numbers in an Allreduce
DELAYS = ((5e-3, 1e9), (20e-3, 1e9), (5e-3, 1e6))  # latency, bandwidth
STEPS = 20  # of an epoch, which has two reductions of a few numbers beside those of the steps
# assumed, not measured: seconds and bytes a second
LINKS = {"10 Gb/s Ethernet": (25e-6, 1.25e9), "100 Gb/s InfiniBand": (2e-6, 12.5e9)}
REPEATS = 7


def parameters(sizes):
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))


def step_seconds(comm, sizes, rows, steps, repeats=REPEATS):
    """Return the least time of a step among repeated trainings of so many."""
    rng = np.random.default_rng(comm.rank)
    X, y = rng.standard_normal((rows * steps, sizes[0]), np.float32), rng.integers(0, sizes[-1], rows * steps)
    *hidden, output = itertools.pairwise(sizes)
    model = nn.Sequential([*(nn.Dense(*pair, "relu") for pair in hidden), nn.Dense(*output)], seed=0)
    times = []
    for _ in range(repeats):
        comm.Barrier()
        start = time.perf_counter()
        model.fit(X, y, loss="softmax_cross_entropy", optimizer=nn.SGD(1e-3), batch_size=rows * comm.size, comm=comm)
        comm.Barrier()
        times.append((time.perf_counter() - start) / steps)
    return min(times[1:])


def reduction_seconds(comm, MPI, size):
    array, times = np.zeros(size, np.float32), []
    for _ in range(max(REPEATS, 10**6 // size)):
        comm.Barrier()
        start = time.perf_counter()
        comm.Allreduce(MPI.IN_PLACE, array)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def delayed(MPI, latency, bandwidth):
    """Return a communicator of all ranks that adds up by a ring, as over a network."""

    class Ring(MPI.Intracomm):
        def Allreduce(self, sendbuf, recvbuf, op=MPI.SUM):
            parts = np.array_split(recvbuf, self.size)
            received = np.empty_like(parts[0])
            for step in range(2 * (self.size - 1)):
                gathers = step >= self.size - 1  # the sums, once each is whole somewhere
                there, here = (self.rank - step) % self.size, (self.rank - step - 1) % self.size
                time.sleep(latency + parts[there].nbytes / bandwidth)
                target = received[: len(parts[here])]
                sent = self.Isend(parts[there], (self.rank + 1) % self.size)
                arrives = self.Irecv(target, (self.rank - 1) % self.size)
                while not MPI.Request.Testall([sent, arrives]):
                    time.sleep(0)  # MPI itself would wait in a loop, on processors that the other ranks need
                parts[here][...] = target if gathers else parts[here] + target

    ring, ones = Ring(MPI.COMM_WORLD), np.ones(5)
    ring.Allreduce(MPI.IN_PLACE, ones)
    assert (ones == ring.size).all()
    return ring


def measure(what):
    """Measure on the ranks of this job; the first prints JSON."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    if what == "steps":
        found = [[name, rows, step_seconds(comm, NETWORKS[name], rows, STEPS)] for name in NETWORKS for rows in ROWS]
    elif what == "reductions":
        found = [[size, reduction_seconds(comm, MPI, size)] for size in SIZES]
    else:
        found = [[*d, step_seconds(delayed(MPI, *d), NETWORKS["small"], 32, STEPS, repeats=3)] for d in DELAYS]
    if comm.rank == 0:
        print(json.dumps(found))


def on_ranks(ranks, what):
    environment = ["env", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", sys.executable, __file__, "--measure", what]
    done = subprocess.run(["mpiexec", "-n", str(ranks), *environment], stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def fitted(rows, times):
    """Return the coefficients, at least 0, of least squares of the relative errors."""
    import scipy.optimize

    rows, times = np.array(rows, float), np.array(times)
    scale = np.abs(rows).max(axis=0)
    return scipy.optimize.nnls(rows / scale / times[:, None], np.ones(len(times)))[0] / scale


class Model:
    """The cost of a step."""

    def __init__(self, steps, reductions):
        n = {name: parameters(sizes) for name, sizes in NETWORKS.items()}
        self.compute = fitted([(1.0, n[name], n[name] * r) for name, r, _ in steps], [t for *_, t in steps])
        latency, inverse = fitted([(2.0, 4.0 * size) for size, _ in reductions], [t for _, t in reductions])
        self.link = latency, 1.0 / inverse

    def alone(self, n, rows):
        return float(np.dot(self.compute, (1.0, n, n * rows)))

    @staticmethod
    def reduction(p, n, link):
        return 2 * (p - 1) * (link[0] + 4 * n / p / link[1])

    def step(self, p, n, rows, link):
        return self.alone(n, rows) + self.reduction(p, n, link)

    def rows_for(self, p, n, link, efficiency=0.8):
        """Return the rows a rank from which on a step has this efficiency."""
        o, u, c = self.compute
        wanted = efficiency / (1 - efficiency) * self.reduction(p, n, link)
        return max(1, int(np.ceil((wanted - o - u * n) / (c * n))))


def table(heading, rows):
    print(f"\n| {' | '.join(heading)} |\n{'| --- ' * len(heading)}|")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")


def ms(seconds):
    return f"{seconds * 1e3:.3g}"


def report():
    steps, reductions = on_ranks(1, "steps"), on_ranks(2, "reductions")
    model, n = Model(steps, reductions), {name: parameters(sizes) for name, sizes in NETWORKS.items()}
    o, u, c = model.compute
    print(f"{runtime.processor_name()}: o = {o * 1e6:.3g} µs, u = {u * 1e9:.3g} ns, c = {c * 1e12:.3g} ps, "
          f"L = {model.link[0] * 1e6:.3g} µs, B = {model.link[1] / 1e9:.3g} GB/s")  # fmt: skip
    table(
        ("network", "rows a rank", "1 rank, ms", "model", "2 ranks, ms", "model"),
        [
            (f"{name}, {n[name]:,}", rows, ms(one), ms(model.alone(n[name], rows)), ms(two),
             ms(model.step(2, n[name], rows, model.link)))
            for (name, rows, one), (_, _, two) in zip(steps, on_ranks(2, "steps"), strict=True)
        ],
    )  # fmt: skip
    table(
        ("ranks", "latency, ms", "bandwidth, MB/s", "measured, ms", "model, ms"),
        [
            (p, ms(latency), f"{bandwidth / 1e6:.0f}", ms(seconds),
             ms(model.step(p, n["small"], 32, (latency, bandwidth)) + 2 / STEPS * 2 * (p - 1) * latency))
            for p in (2, 4, 8)
            for latency, bandwidth, seconds in on_ranks(p, "delayed")
        ],
    )  # fmt: skip
    links = {"shared memory, as measured here": model.link} | LINKS
    table(
        ("link", "network", *(f"{p} machines" for p in (8, 64, 1024))),
        [
            (link, name, *(
                f"{model.alone(n[name], 128) / model.step(p, n[name], 128, links[link]):.0%}; "
                f"{p * model.rows_for(p, n[name], links[link]):,}"
                for p in (8, 64, 1024)
            ))
            for link in links for name in NETWORKS
        ],
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", choices=("steps", "reductions", "delayed"), help=argparse.SUPPRESS)
    what = parser.parse_args().measure
    measure(what) if what else report()


if __name__ == "__main__":
    main()
