"""Past one machine: training on a cluster of Dask (`fit`) and on the ranks of MPI (``model.fit(..., comm=...)``)."""

from fastact.distributed.dask import fit

__all__ = ["fit"]
