"""A training step of CR-VAE against one of the plain VAE on images, with and without its queue.

On a processor the time is that of one core, whoever else is at work on the machine. `--images`
takes a model's section of an experiment, the published one by default, and

    python -m benchmarks.cr_vae --batch 256 --device cuda

has the batch of the authors' code. CR-VAE encodes each image as two more views, one of them
without a gradient; what that costs depends on the decoder's share in a step.
"""

import argparse
from typing import Any

import torch

from benchmarks.critics import CORPORA, IMAGES, compare, images, section


def variants(queue: int) -> dict[str, dict[str, Any]]:
    """CR-VAE as it may be configured, each with a name."""
    of_queue = {"negatives": {"kind": "queue", "length": queue}}
    return {
        "cr_vae, batch": {},
        f"cr_vae, queue of {queue}": of_queue,
        f"cr_vae, queue of {queue}, target augmented": {**of_queue, "target": "augmented"},
        "cr_vae, shared keys, batch": {"key": {"kind": "shared"}},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", help="a model's section, as JSON")
    parser.add_argument("--side", type=int, default=28, help="pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--queue", type=int, default=4096, help="a multiple of the batch")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = section(options.images, IMAGES)
    if model is None:
        parser.error("--images none leaves nothing to measure")
    CORPORA[model.reads] = images(options, least=options.queue)
    objectives = {
        name: ({"name": "cr_vae", **settings}, "-")
        for name, settings in variants(options.queue).items()
    }
    compare(model, objectives, options)


if __name__ == "__main__":
    main()
