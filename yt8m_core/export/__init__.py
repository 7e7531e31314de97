"""Export of finished runs as one file that runs without this project: torch.export (.pt2) and ONNX (.onnx)."""
