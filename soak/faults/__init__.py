"""The faults there are, in the order of the table."""

from soak.faults import clusters, damage, disks, drivers, size, slurm, stores, workers
from soak.scene import Fault

_ALL = (
    *drivers.FAULTS,
    *workers.FAULTS,
    *disks.FAULTS,
    *damage.FAULTS,
    *stores.FAULTS,
    *size.FAULTS,
    *clusters.FAULTS,
    *slurm.FAULTS,
)

FAULTS: dict[str, Fault] = {fault.name: fault for fault in _ALL}
