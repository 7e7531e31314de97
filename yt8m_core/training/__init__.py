"""Training: data splits, loop, optimizer step, checkpoints, log and interruption."""
