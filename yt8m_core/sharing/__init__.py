"""Share a run: model cards, and repositories on the Hugging Face Hub."""
