"""What all tests share."""

import hypothesis
import pytest
import torch

# Assertions of what tests share say as much as those of tests.
pytest.register_assert_rewrite("tests.sweeper.edits", "soak.machine")

# A trial has one core, and so has each process that runs tests.
torch.set_num_threads(1)

# How long an example takes says more of the machine's load than of the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
