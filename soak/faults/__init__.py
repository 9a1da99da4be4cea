"""The faults there are, in the order of the table."""

from soak.faults import drivers
from soak.scene import Fault

_ALL = (*drivers.FAULTS,)

FAULTS: dict[str, Fault] = {fault.name: fault for fault in _ALL}
