"""The faults there are, in the order of the table."""

from soak.faults import damage, disks, drivers, size, stores, workers
from soak.scene import Fault

_ALL = (
    *drivers.FAULTS,
    *workers.FAULTS,
    *disks.FAULTS,
    *damage.FAULTS,
    *stores.FAULTS,
    *size.FAULTS,
)

FAULTS: dict[str, Fault] = {fault.name: fault for fault in _ALL}
