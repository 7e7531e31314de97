"""Metadata of an exported file: what a program needs to prepare its inputs, read its outputs and describe the model."""

import json

from torch.export import ExportedProgram

from yt8m_core.export.graph import OUTPUTS
from yt8m_core.runs.run import Run

METADATA = "metadata.json"  # key of the ONNX metadata, and name of the extra file of torch.export


def describe_run(run: Run, program: ExportedProgram, *, input_type: str, precision: str) -> str:
    """Return the metadata of an exported run as JSON. Paths are left out, because the file leaves the machine.

    Raises UserError for an unfinished run.
    """
    schema, experiment = run.facts.schema, run.experiment.to_dict()
    max_frames = experiment.pop("data")["max_frames"]
    experiment.pop("init", None)
    values = {
        "run": run.name,
        "labels": [run.vocabulary.name(label) for label in range(run.facts.num_classes)],
        "input_type": input_type,
        "outputs": OUTPUTS[: len(program.graph_signature.user_outputs)],
        "precision": precision,
        "level": schema.level,
        "streams": schema.streams,
        "max_frames": max_frames,
        "experiment": experiment,
        "scale": run.facts.scale,
        "train_videos": run.facts.train_videos,
        "metrics": run.metrics["validation"],
    }
    return json.dumps(values)
