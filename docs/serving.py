"""Serve an exported model on 127.0.0.1 with NumPy and ONNX Runtime alone: python serving.py MODEL.onnx PORT."""

import io
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
model = json.loads(session.get_modelmeta().custom_metadata_map["metadata.json"])


class Handler(BaseHTTPRequestHandler):
    """Answer the .npz of a video, one array [T, width] per stream, with its 10 top labels as JSON."""

    def do_POST(self) -> None:
        """Read the arrays, score them and send the labels, or an error."""
        try:
            body = self.rfile.read(min(int(self.headers["Content-Length"]), 1 << 24))
            arrays = np.load(io.BytesIO(body), allow_pickle=False)
            frames = np.concatenate([arrays[name] for name, _ in model["streams"]], axis=1)[None]  # [1, T, D]
            inputs = {"frames": frames, "num_frames": np.array([frames.shape[1]])}
            p = session.run(["probabilities"], inputs)[0][0]  # [C]
            status, answer = 200, {model["labels"][label]: float(p[label]) for label in (-p).argsort()[:10]}
        except Exception as error:
            status, answer = 400, {"error": str(error)}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
