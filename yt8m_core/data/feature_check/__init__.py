"""Check that uploaded features resemble the features that a model was trained on."""
