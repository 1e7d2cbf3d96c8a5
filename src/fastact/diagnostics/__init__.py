"""See why a network does not learn: vanishing gradients, saturation, dead units, as numbers and in words."""

from fastact.diagnostics._diagnose import diagnose
from fastact.diagnostics.findings import Finding
from fastact.diagnostics.measures import Diagnosis, LayerMeasures
from fastact.diagnostics.monitor import Monitor

__all__ = ["Diagnosis", "Finding", "LayerMeasures", "Monitor", "diagnose"]
