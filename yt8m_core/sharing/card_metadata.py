"""Front matter of a model card: what the Hugging Face Hub indexes."""

from typing import Any

from yt8m_core.data.scale import SCALE_NAMES
from yt8m_core.labels.statistics import BANDS
from yt8m_core.models.registry import SLOTS
from yt8m_core.runs.run import Facts, Run
from yt8m_core.sharing.markdown import one_line
from yt8m_core.sharing.shared_copy import data_name

# Metric in metrics.json: its name in a card.
METRIC_NAMES = {
    "gap": "GAP@20",
    "hit_at_1": "Hit@1",
    "perr": "PERR",
    "map_present": "mAP in the top 20, labels with positives",
    **{f"ap_{band}": f"mAP, {band} labels" for band in BANDS},
    "ap_all": "mAP, all labels with positives",
}
OWN_ENTRIES = ("license", "library_name", "pipeline_tag", "tags", "datasets", "model-index")
TASK = {"type": "video-classification", "name": "Multi-label video classification"}
RGB_AUDIO = (("rgb", 1024), ("audio", 128))
# Streams and number of labels: the identifier and the name of the data set that has them.
KNOWN_DATA = {
    (RGB_AUDIO, 3862): ("youtube-8m", "YouTube-8M, 2018 edition"),
    (RGB_AUDIO, 4716): ("youtube-8m", "YouTube-8M, 2017 edition"),
    ((("audio_embedding", 128),), 527): ("audioset", "AudioSet"),
}


def known_data(facts: Facts) -> tuple[str, str] | None:
    """Return the identifier and the name of the data set with these streams and labels; None for any other.

    >>> from yt8m_core.data.schema import Schema
    >>> known_data(Facts(Schema("video", (("mean_rgb", 1024), ("mean_audio", 128))), 3862, "sample", 100, 10))
    ('youtube-8m', 'YouTube-8M, 2018 edition')
    """
    if facts.scale == "demo":
        return None
    streams = tuple((name.removeprefix("mean_"), width) for name, width in facts.schema.streams)
    return KNOWN_DATA.get((streams, facts.num_classes))


def metadata(run: Run, name: str, license_id: str) -> dict[str, Any]:
    """Return the entries of the front matter.

    Args:
        run: A finished run.
        name: Name of the model.
        license_id: License of the weights, or nothing.
    """
    validation, known = run.metrics["validation"], known_data(run.facts)
    methods = [(slot, getattr(run.experiment, slot).name) for slot in SLOTS]
    tags = ["multi-label-classification", "arxiv:1706.07960"]
    tags += dict.fromkeys(method for slot, method in methods if method in SLOTS[slot] and method != "identity")
    data = run.experiment.data
    return {
        **({"license": license_id} if license_id else {}),
        "library_name": "yt8m",
        "pipeline_tag": TASK["type"],
        "tags": tags,
        **({"datasets": [known[0]]} if known else {}),
        "model-index": [
            {
                "name": one_line(name) or "run",
                "results": [
                    {
                        "task": dict(TASK),
                        "dataset": {
                            "type": known[0] if known else "other",
                            "name": f"{'rated segments of ' if data.segments else ''}"
                            f"{one_line(data_name(data.validation or data.train))}"
                            f"{f', fold {data.fold}' if data.fold else ''} ({SCALE_NAMES[run.facts.scale]})",
                            "split": "validation",
                        },
                        "metrics": [
                            {"type": key, "name": _metric_name(key, validation), "value": round(validation[key], 4)}
                            for key in METRIC_NAMES
                            if key in validation
                        ],
                    }
                ],
            }
        ],
    }


def _metric_name(key: str, validation: dict[str, Any]) -> str:
    if key != "gap":
        return METRIC_NAMES[key]
    return f"GAP@20, 95% CI [{validation['gap_low']:.4f}, {validation['gap_high']:.4f}]"
