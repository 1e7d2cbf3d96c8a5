"""Past one machine: training on the ranks of MPI (``model.fit(..., comm=...)``)."""
