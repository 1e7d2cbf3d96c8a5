"""An array larger than memory from disk through `fastact.sigmoid` and back to disk, chunk by chunk, by Dask.

    python bench/out_of_memory.py                       # 4 GiB of float32, in processes that may have 1 GiB
    python bench/out_of_memory.py --gib 64 --limit 2048

Each run is a process of its own, which the system refuses more memory than the limit (RLIMIT_DATA), so that an array
that is not taken in chunks is a MemoryError; its peak is the system's count of resident pages. From .npy, read and
written with plain file operations, and from Zarr, uncompressed; a copy by the same engine is what the disk allows. The
files' pages are dropped from the system's cache before each run, and what is written is on the disk when the clock
stops.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import zarr

import fastact
from fastact import runtime

COLUMNS = 2**20  # of float32: 4 MiB a row
CHUNK = 4  # rows: 16 MiB
WAYS = ("copy", "sigmoid", "sigmoid in place")


class Rows:
    """The rows of a .npy file, as Dask reads and writes them; a memory map's pages would count as resident."""

    def __init__(self, path, shape=None):
        if shape:
            np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        array = np.load(path, mmap_mode="r")
        self._path, self._start = path, array.offset
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, 2

    def __getitem__(self, index):
        start, stop, _ = index[0].indices(self.shape[0])
        count = (stop - start) * self.shape[1]
        rows = np.fromfile(self._path, self.dtype, count, offset=self._start + start * self.shape[1] * 4)
        return rows.reshape(-1, self.shape[1])

    def __setitem__(self, index, rows):
        start, _, _ = index[0].indices(self.shape[0])
        with open(self._path, "r+b") as file:
            file.seek(self._start + start * self.shape[1] * 4)
            rows.tofile(file)


def chunked(rows):
    return da.from_array(rows, chunks=(CHUNK, COLUMNS), name=False)


def on_disk(path, drop=False):
    """Write a file or a folder's files from the system's cache to the disk, and drop them from the cache if asked."""
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        if drop:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def zarr_file(path, shape):
    return zarr.create_array(path, shape=shape, chunks=(CHUNK, COLUMNS), dtype="float32", compressors=None)


def make(folder, rows):
    """Write the array as both kinds of file, a chunk at a time."""
    rng = np.random.default_rng(0)
    block = rng.standard_normal((CHUNK, COLUMNS), dtype=np.float32)
    array = da.from_array(block, chunks=(CHUNK, COLUMNS))
    array = da.concatenate([array] * (rows // CHUNK))
    da.store(array, Rows(folder / "in.npy", array.shape), lock=False)
    da.store(array, zarr_file(folder / "in.zarr", array.shape), lock=False)


def run(way, folder, kind, limit):
    """Take one way in this process; print the seconds and the peak of resident memory in MiB."""
    resource.setrlimit(resource.RLIMIT_DATA, (limit * 2**20, limit * 2**20))
    source, target = folder / f"in.{kind}", folder / f"out.{kind}"
    start = time.perf_counter()
    x = da.from_zarr(source) if kind == "zarr" else chunked(Rows(source))
    if way == "sigmoid":
        x = fastact.sigmoid(x)
    elif way == "sigmoid in place":  # each block has been read for this alone
        x = x.map_blocks(lambda block: fastact.sigmoid(block, out=block))
    # twice as many threads as processors, so that those which wait for the disk leave no processor idle
    with dask.config.set(scheduler="threads", num_workers=2 * runtime._processors()):
        da.store(x, (zarr_file if kind == "zarr" else Rows)(target, x.shape), lock=False)
    on_disk(target)
    seconds = time.perf_counter() - start
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gib", type=float, default=4.0, help="size of the array (4)")
    parser.add_argument("--limit", type=int, default=1024, help="MiB of memory that a run may have (1024)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each way, in turn (3)")
    parser.add_argument("--folder", type=Path, help="where to write; the default is the system's temporary folder")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        way, kind = options.one
        run(way, options.folder, kind, options.limit)
        return
    rows = max(1, int(options.gib * 2**30) // (4 * COLUMNS * CHUNK)) * CHUNK
    size = rows * COLUMNS * 4 / 2**20
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        print(f"{size:.0f} MiB of float32, {options.limit} MiB allowed", file=sys.stderr)
        make(folder, rows)
        print("| file | way | seconds | MB/s, in and out | of the copy's speed | peak, MiB |")
        print("| --- | --- | --- | --- | --- | --- |")
        for kind in ("npy", "zarr"):
            measured = {way: [] for way in WAYS}
            for _ in range(options.repeats):
                for way in WAYS:
                    on_disk(folder / f"in.{kind}", drop=True)
                    command = [sys.executable, __file__, "--one", way, kind, "--limit", str(options.limit)]
                    done = subprocess.run([*command, "--folder", folder], stdout=subprocess.PIPE, text=True, check=True)
                    measured[way].append([float(number) for number in done.stdout.split()])
                    check(folder, kind, way)
            copy = np.median([seconds for seconds, _ in measured["copy"]])
            for way, results in measured.items():
                seconds, peak = np.median(results, axis=0)
                speed = 2 * size * 1.048576 / seconds
                row = kind, way, f"{seconds:.1f}", f"{speed:.0f}", f"{copy / seconds:.2f}", f"{peak:.0f}"
                print(f"| {' | '.join(row)} |", flush=True)
    finally:
        shutil.rmtree(folder)


def check(folder, kind, way):
    """Compare the first and the last chunk with what they must be, and remove the result."""
    path, source = folder / f"out.{kind}", folder / f"in.{kind}"
    x, y = (da.from_zarr(p) if kind == "zarr" else chunked(Rows(p)) for p in (source, path))
    for chunk in (0, -1):
        expected = x.blocks[chunk].compute()
        expected = expected if way == "copy" else fastact.sigmoid(expected)
        if not np.array_equal(y.blocks[chunk].compute(), expected):
            raise AssertionError(f"{kind}, {way}: chunk {chunk} is not what it must be")
    path.unlink() if kind == "npy" else shutil.rmtree(path)


if __name__ == "__main__":
    main()
