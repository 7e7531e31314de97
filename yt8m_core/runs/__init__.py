"""Run folders: what a training leaves behind, and tables of several runs."""
