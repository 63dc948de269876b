"""Models as programs that other runtimes execute: ONNX, torch.export."""
