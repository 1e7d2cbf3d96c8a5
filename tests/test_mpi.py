"""Training on the ranks of MPI: each script runs under mpiexec, with the names of `ranks.START`."""

import re

import pytest
from ranks import ended, needs_mpi, run, start

from fastact import nn

pytestmark = needs_mpi


@pytest.mark.parametrize("size", [1, 2, 4])
def test_any_number_of_ranks_gives_the_same_network(size):
    """Interleaved shards in their order are the batches of one process: within 1e-12 of it in float64, the same bits
    in every rank. Alone, a rank has the bits of one process."""
    run(
        f"""
tolerance = 0.0 if size == 1 else 1e-12
weight = rng.random(96)
for optimizer in (nn.SGD(0.1, momentum=0.9), nn.Adam(0.01, clip_norm=0.1)):
    for sample_weight in (None, weight):
        for batch_size in (16, 20, 96):  # of 20, the last batch has 16
            ranks, one = network(seed=rank, dtype=float), network(dtype=float)
            mine_too = None if sample_weight is None else sample_weight[mine]
            options = dict(batch_size=batch_size, shuffle=False)
            twin = nn.optimizers.from_config(optimizer.config())
            history = fit(ranks, optimizer=optimizer, sample_weight=mine_too, validation_data=(X[mine], y[mine]),
                          **options)
            whole = fit(one, X, y, twin, None, sample_weight=sample_weight, validation_data=(X, y), **options)
            assert np.abs(weights(ranks) - weights(one)).max() <= tolerance
            assert set(comm.allgather(weights(ranks).tobytes())) == {{weights(ranks).tobytes()}}
            assert comm.allgather(history) == [history] * {size}
            for name in history:
                assert np.allclose(history[name], whole[name], rtol=tolerance, atol=0), name
""",
        size,
    )


def test_the_gradient_of_the_shards_is_that_of_the_whole_batch():
    """To the rounding of float32, with shards of 1 and 95 rows, and weights."""
    run("""
weight = rng.random(96).astype(np.float32)
mine = slice(0, 1) if rank == 0 else slice(1, None)
ranks, one = network(), network()
for model, rows, comm in ((ranks, mine, comm), (one, slice(None), None)):
    # one step over all rows
    fit(model, X[rows], y[rows], nn.SGD(1e-30), comm, sample_weight=weight[rows], batch_size=192, epochs=1)
for a, b in zip(ranks.parameters(), one.parameters()):
    error = np.linalg.norm(a.gradient - b.gradient) / np.linalg.norm(b.gradient)
    assert error < 1e-6, (a.name, error)
""")


def test_shards_of_different_sizes_shuffled_and_streamed():
    """Ranks with fewer batches wait for the others, and those whose rows have no weight take part in every step; the
    data may be a generator. All rows count once an epoch, the model's generator is the same in all ranks."""
    run("""
mine = slice(0, 7) if rank == 0 else slice(7, None)
model = network()
history = fit(model, X[mine], y[mine], nn.SGD(1e-30), epochs=2)
assert np.allclose(history["loss"], network().evaluate(X, y, "softmax_cross_entropy")["loss"], rtol=1e-6)
states = comm.allgather(model._rng.bit_generator.state)
assert states[0] == states[1] != network()._rng.bit_generator.state
no_weight = [(X[:3], y[:3], np.zeros(3))] * (20 if rank == 0 else 1) + [(X[:4], y[:4])]
fit(network(), no_weight, None, epochs=2)
stream = ((X[i : i + 2], y[i : i + 2]) for i in range(0, 90, 2))
history = fit(network(), stream, None, steps_per_epoch=5 + 3 * rank, epochs=3, optimizer=nn.SGD(1e-3))
assert len(set(comm.allgather(tuple(history["loss"])))) == 1
layers = [nn.Dense(6, 16, "sigmoid", init="unit_gain"), nn.Dense(16, 3)]
model = nn.Sequential(layers, seed=0)
fit(model)
assert not layers[0].needs_batch and len(set(comm.allgather(weights(model).tobytes()))) == 1
""")


def test_callbacks_agree(tmp_path):
    """Early stopping ends all ranks at one epoch with one set of weights, what one rank's callback stops ends all, and
    only the first writes."""
    run(f"""
class Here(nn.Callback):
    def on_epoch_end(self, model, epoch, history):
        model.stop_training = rank == 1 and epoch == 4

path = "{tmp_path}/run.safetensors"
noise = rng.integers(0, 3, 96)
model, stopping = network(), nn.EarlyStopping(patience=3)
checkpoint = nn.Checkpoint(path)
history = fit(model, validation_data=(X[mine], noise[mine]), epochs=100, callbacks=[stopping, checkpoint])
assert history.epochs == stopping.best_epoch + 3 < 100
assert len(set(comm.allgather((history.epochs, weights(model).tobytes())))) == 1
comm.Barrier()
assert nn.load(path).history == history
assert fit(network(), epochs=10, callbacks=[Here()]).epochs == 4
""")
    assert [file.name for file in tmp_path.iterdir()] == ["run.safetensors"]


def test_a_checkpoint_resumes_on_another_number_of_ranks(tmp_path):
    """Two ranks for two epochs, then 1, 2 or 4 to the fourth: the weights of one process that never stopped, to
    rounding; the path need be there for the first rank only."""
    train = f"""
path = "{tmp_path}/run.safetensors"
options = dict(shuffle=False, callbacks=[nn.Checkpoint(path)])
model = network(dtype=float)
"""
    run(train + "fit(model, epochs=2, **options)")
    first = (tmp_path / "run.safetensors").read_bytes()
    for size in (1, 2, 4):
        (tmp_path / "run.safetensors").write_bytes(first)
        run(
            train + "history = fit(model, epochs=4, resume_from=path if rank == 0 else '/nowhere', **options)\n"
            "whole = network(dtype=float)\n"
            "fit(whole, X, y, comm=None, epochs=4, shuffle=False)\n"
            "assert history.epochs == 4 and np.abs(weights(model) - weights(whole)).max() < 1e-12",
            size,
        )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("fit(model, X[mine, : 6 - rank])", r"ValueError: .*X must have .*got .*5"),
        ("fit(model, optimizer=nn.SGD(0.1) if rank else nn.Adam())", "optimizer must be the same in all ranks, but"),
        ("fit(network(dtype=[float, np.float32][rank]))", "layers must be the same in all ranks"),
        ("fit(model, batch_size=1)", "batch_size, the rows of all ranks, must be at least 2, got 1"),
        ("fit(model, batch_size=16 + rank)", "batch_size must be the same in all ranks, .* 16 and rank 1 has 17"),
        ("fit(model, class_weight={0: 1.0 + rank})", "class_weight must be the same in all ranks"),
        ("fit(model, class_weight='balanced')", "class_weight must be a dict with comm, got 'balanced'"),
        ("fit(model, comm=2)", "comm must be a communicator of mpi4py, such as MPI.COMM_WORLD, got 2"),
        ("fit(model, resume_from='/nowhere/run')", "No such file"),
        (
            "fit(nn.Sequential([nn.Dense(6, 16, 'relu'), nn.Dense(16, 3)], seed=0), X[mine] * 8e37**rank)",
            r"FloatingPointError: .*the loss is (nan|inf) at epoch 1, batch \d: layers\[\d\]",
        ),
        ("fit(model, iter([(X, y), 5][: 1 + rank]), None, epochs=1)", "item 2 is a int"),
    ],
)
def test_an_error_in_one_rank_is_raised_in_all(call, words):
    """So that each can catch it; the others tell which rank it comes from."""
    out = run(f"""
model = network()
try:
    {call}
    found = "no error"
except Exception as error:
    found = f"{{type(error).__name__}}: {{error}}"
found = comm.gather(found)
if rank == 0:
    print(*found, sep="\\n")
""")
    lines = out.splitlines()
    assert len(lines) == 2 and all(re.search(words, line) for line in lines), out


# ----------------------------------------------------------------------------------------------------------- faults

FAULTY = """
class Fault(nn.Callback):
    "In the third epoch, in rank 1, before the second step."
    def on_batch_begin(self, model, epoch, batch):
        if rank == 1 and (epoch, batch) == (3, 2):
            {fault}

path = "{path}"
model = network(dtype=float)
history = fit(model, epochs=5, shuffle=False, callbacks=[Fault(), nn.Checkpoint(path)], **dict({options}))
"""

WHOLE = """
whole = network(dtype=float)
fit(whole, X, y, comm=None, epochs=5, shuffle=False)
assert history.epochs == 5 and np.abs(weights(model) - weights(whole)).max() < 1e-12
"""


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "KILLED|[Kk]illed|signal 9"),
        ("raise KeyError('no such sample')", r"KeyError: 'no such sample'[^|]*rank 1 of 2 raised KeyError in training, "
         r"which ends the job; fit\(resume_from=path\) goes on from its last Checkpoint"),
        ("sys.exit('enough')", "rank 1 of 2 raised SystemExit in training"),
    ],
    ids=["killed", "error", "exit"],
)  # fmt: skip
def test_a_rank_that_dies_ends_the_job_and_a_checkpoint_resumes_it(fault, words, tmp_path):
    """The second epoch's is whole; resumed on one rank and on two, training ends as if nothing had happened."""
    path = tmp_path / "run.safetensors"
    status, out, err = ended(start(FAULTY.format(fault=fault, path=path, options="")))
    assert status != 0 and re.search(words, out + err), out + err
    assert nn.load(path).history.epochs == 2
    copy = path.read_bytes()
    for size in (1, 2):
        path.write_bytes(copy)
        run(FAULTY.format(fault="pass", path=path, options="resume_from=path") + WHOLE, size)
    assert [file.name for file in tmp_path.iterdir()] == ["run.safetensors"]


def test_a_slow_rank_slows_the_others_and_no_more(tmp_path):
    """Rank 1 takes ten times as long for its steps, or so: the result is the same."""
    slow = "pass\n        time.sleep(0.02 * rank)"
    run(FAULTY.format(fault=slow, path=tmp_path / "run.safetensors", options="") + WHOLE)


def test_a_full_disk_ends_all_ranks_with_the_checkpoint_before(tmp_path):
    """Only the first rank writes, and all of them tell what to do."""
    path = tmp_path / "run.safetensors"
    out = run(f"""
import resource

class Full(nn.Callback):
    def on_epoch_end(self, model, epoch, history):
        if rank == 0 and epoch == 3:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))

try:
    fit(network(), epochs=5, callbacks=[Full(), nn.Checkpoint({str(path)!r})])
    found = "no error"
except OSError as error:
    found = str(error)
found = comm.gather(found)
if rank == 0:
    print(*found, sep="\\n")
""")
    lines = out.splitlines()
    words = r"File too large .*: the checkpoint of epoch 3 is not written, the one before is whole\. Once .*resume_from"
    assert len(lines) == 2 and all(re.search(words, line) for line in lines), out
    assert nn.load(path).history.epochs == 2 and len(list(tmp_path.iterdir())) == 1
