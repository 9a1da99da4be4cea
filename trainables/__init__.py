"""Everything that trains and scores one latent-variable model; runs without Ray."""
