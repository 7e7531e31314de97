"""The training loop: data splits, optimizer step, checkpoints, log and interruption."""
