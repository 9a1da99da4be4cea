"""What all tests share."""

import torch

# A trial has one core, and so has each process that runs tests.
torch.set_num_threads(1)
