"""Serve an exported model on 127.0.0.1 with NumPy and ONNX Runtime alone: python serving.py MODEL.onnx PORT."""

import io
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
model = json.loads(session.get_modelmeta().custom_metadata_map["metadata.json"])
widths = [(width,) for _, width in model["streams"]]


class Handler(BaseHTTPRequestHandler):
    """Answer the .npz of a video, one array [T, width] per stream: JSON with id, name and probability of 10 labels."""

    def do_POST(self) -> None:
        """Read the arrays, score them and send the labels, or an error."""
        try:
            body = self.rfile.read(min(int(self.headers["Content-Length"]), 1 << 24))
            arrays = np.load(io.BytesIO(body), allow_pickle=False)
            parts = [arrays[name] for name, _ in model["streams"]]
            if [part.shape[1:] for part in parts] != widths or not len(parts[0]):
                raise ValueError(f"expected arrays [T, width] with T ≥ 1 of {model['streams']}")
            frames = np.concatenate(parts, axis=1)[None]  # [1, T, D]
            inputs = {"frames": frames, "num_frames": np.array([frames.shape[1]])}
            p = session.run(["probabilities"], inputs)[0][0]  # [C]
            answer, status = [[int(k), model["labels"][k], float(p[k])] for k in (-p).argsort()[:10]], 200
        except Exception as error:
            status, answer = 400, {"error": str(error)}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
