"""Training on the ranks of MPI: each script runs under mpiexec, with the names of `ranks.START`."""

import re

import pytest
from ranks import needs_mpi, run

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
