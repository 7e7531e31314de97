"""Whether features look like those that a run was trained on."""
