"""The sections of a model card, as Markdown. Every text of the run passes through ``code`` or ``escape``."""

import inspect
import re
from collections.abc import Iterator

import numpy as np

from yt8m_core.analysis.per_label import mean_interval
from yt8m_core.data.scale import SCALE_NAMES
from yt8m_core.errors import UserError
from yt8m_core.labels.statistics import BANDS
from yt8m_core.models.registry import SLOTS, default_options
from yt8m_core.models.slot import Slot
from yt8m_core.runs.calibration_file import CALIBRATION
from yt8m_core.runs.label_precision_file import LABEL_PRECISION
from yt8m_core.runs.run import Run
from yt8m_core.sharing.card_limits import count_videos, random_precisions
from yt8m_core.sharing.card_metadata import METRIC_NAMES, known_data
from yt8m_core.sharing.markdown import code, table
from yt8m_core.sharing.shared_copy import data_name

_REFERENCE = re.compile(r"https://(?:arxiv\.org/abs|doi\.org)/[\w./-]*\w")

RATED_ONLY = (
    "These metrics are of the labels that were rated in a segment, often one. Hit@1, PERR and GAP on so few labels are "
    "high for any model; MAP@K ranks segments (`yt8m evaluate --segments rated`)."
)


def model_section(run: Run) -> str:
    """Return slots, inputs and outputs."""
    slots = {slot: getattr(run.experiment, slot) for slot in SLOTS}
    rows = [
        [slot.replace("_", " "), code(_with_defaults(slot, method)), *_origin(slot, method)]
        for slot, method in slots.items()
    ]
    streams = " + ".join(f"{code(name)} ({width})" for name, width in run.facts.schema.streams)
    frames = (
        f", the first {run.experiment.data.max_frames:,} frames of a video" if run.facts.schema.level == "frame" else ""
    )
    return "\n\n".join(
        [
            "## Model",
            table(["slot", "method, with all options", "what it is", "references"], rows),
            f"Input: {run.facts.schema.level}-level features {streams}{frames}; normalization "
            f"{code(run.experiment.normalization)}. Output: a probability for each of {run.facts.num_classes:,} "
            f"labels. {run.metrics.get('parameters', 0):,} parameters, float32, in `model.safetensors`.",
        ]
    )


def data_section(run: Run) -> str:
    """Return data sets, scale, labels and vocabulary; of a path only its last part."""
    data, facts = run.experiment.data, run.facts
    training = code(data_name(data.train))
    validation = f"fold {data.fold} of {training}" if data.fold else code(data_name(data.validation))
    rows = [
        ["name", f"{training}{' without that fold' if data.fold else ''}", validation],
        [f"{data.item}s", f"{facts.train_videos:,}", f"{facts.validation_videos:,}"],
        ["bad records, skipped", f"{facts.train_bad_records:,}", f"{facts.validation_bad_records:,}"],
    ]
    known = known_data(facts)
    origin = f" Streams and number of labels are those of {known[1]}." if known else ""
    unnamed = sum(not name.strip() for name in run.vocabulary.names)
    source = (
        f"from {code(data_name(data.vocabulary))}"
        if data.vocabulary
        else "from the folder of the training data, if it has one"
    )
    return "\n\n".join(
        [
            "## Data",
            table(["", "training", "validation"], rows),
            f"Scale: {SCALE_NAMES[facts.scale]}.{origin} Vocabulary: `vocabulary.csv`, {source}; "
            f"{facts.num_classes:,} labels, {unnamed:,} of them without a name.",
        ]
    )


def training_section(run: Run) -> str:
    """Return the training settings, and time and throughput."""
    experiment = run.experiment
    settings = {"seed": experiment.seed, **experiment.training.to_dict()}
    if experiment.init:
        settings["starts from the weights of"] = data_name(experiment.init)
    if experiment.data.unlabeled != "error":
        settings["videos without labels"] = experiment.data.unlabeled
    metrics = run.metrics
    cost = [
        f"{metrics['training_seconds']:,.0f} s of training" if "training_seconds" in metrics else "",
        f"{metrics['videos_per_second']:,.0f} videos/s" if "videos_per_second" in metrics else "",
        f"{metrics['processes']:,} process(es)" if "processes" in metrics else "",
    ]
    rows = [[name.replace("_", " "), code(str(value))] for name, value in settings.items()]
    return "\n\n".join(["## Training", table(["setting", "value"], rows), ", ".join(filter(None, cost)) + "."])


def metrics_section(run: Run) -> str:
    """Return the validation metrics, and average precision by frequency band."""
    validation = run.metrics["validation"]
    rows = []
    for key, name in METRIC_NAMES.items():
        if key in validation and not key.startswith("ap_"):
            interval = f"[{validation['gap_low']:.4f}, {validation['gap_high']:.4f}]" if key == "gap" else ""
            rows.append([name, f"{validation[key]:.4f}", interval])
    parts = [
        "## Validation metrics",
        table(["metric", "value", "95% CI"], rows),
        f"On {run.facts.validation_videos:,} {run.experiment.data.item}s of the validation data. The interval is a "
        "bootstrap over the videos.",
    ]
    if run.experiment.data.segments:
        parts.append(RATED_ONLY)
    if (run.path / LABEL_PRECISION).exists():
        parts += [
            "Average precision (AP) by frequency of the labels in the training data: head labels hold half of all "
            "(video, label) pairs; head and mid labels together hold 90%.",
            table(
                ["band", "labels", "with positives", "training videos", "mean AP", "95% CI", "random order"],
                _band_rows(run),
            ),
            "Labels without a positive validation video have no AP. The interval treats the labels of a band as a "
            "random sample. *Random order* is the mean AP of a random order of the videos.",
        ]
    return "\n\n".join(parts)


def calibration_section(run: Run) -> str:
    """Return temperature, calibration error and thresholds; nothing for a run without a calibration."""
    if not (run.path / CALIBRATION).exists():
        return ""
    calibration = run.calibration
    errors = [row for row in calibration.errors if row.output == "scores"]
    rows = [
        [row.stage, row.band, f"{row.ece:.2e}", f"[{row.low:.2e}, {row.high:.2e}]", f"{row.if_calibrated:.2e}"]
        for row in errors
    ]
    temperatures = ", ".join(f"{row.temperature:.4f} ({row.output})" for row in calibration.temperatures)
    return "\n\n".join(
        [
            "## Calibration",
            f"Temperatures and thresholds were chosen on {calibration.chosen_on:,} videos of "
            f"{code(data_name(calibration.data))} and measured on {calibration.measured_on:,} others. Temperature: "
            f"{temperatures}. {calibration.own_thresholds:,} of {len(calibration.thresholds):,} labels have their own "
            f"threshold; the others have {calibration.global_threshold:.4f}.",
            table(["temperature scaling", "band", "expected calibration error", "95% CI", "if calibrated"], rows),
        ]
    )


def use_section(run: Run, repo: str) -> str:
    """Return how to load the run, in Python and on the command line.

    Args:
        run: The run.
        repo: Name of the repository, owner/name.
    """
    folder = f"runs/{repo.rpartition('/')[2]}"
    return f"""## Use

With this program installed (`pip install 'yt8m[hub]'`), download the run and predict the labels of a data set with the
same features:

```bash
yt8m pull {repo} {folder}
yt8m predict {folder} --data shards/validation --output predictions.csv
```

In Python:

```python
from yt8m_core import Run, predict

run = Run.open("{folder}")
predict(run, "shards/validation", "predictions.csv")
```

The files are safetensors, JSON, CSV and Parquet. None of them contains code."""


def license_section(run: Run, license_id: str) -> str:
    """Return the license of the weights, of the program and of known data."""
    weights = (
        f"The weights are licensed under {code(license_id)}."
        if license_id
        else "No license was chosen for the weights. Without one, only their owner may use them: "
        "`yt8m card RUN --license ID`."
    )
    data = (
        " Features, labels and vocabularies of YouTube-8M and AudioSet are Google's, under CC BY 4.0."
        if known_data(run.facts)
        else ""
    )
    return f"## License\n\n{weights} The program yt8m is licensed under Apache-2.0.{data}"


def _with_defaults(slot: str, method: Slot) -> str:
    """Return a method with all its options; one that is not registered, as it is."""
    try:
        return str(Slot(method.name, {**default_options(slot, method.name), **method.options}))
    except UserError:
        return str(method)


def _origin(slot: str, method: Slot) -> tuple[str, str]:
    """Return the first line and the references of the module of a method, which are not the run's."""
    kind = SLOTS[slot].get(method.name)
    text = (inspect.getmodule(kind).__doc__ or "") if kind else ""
    title = re.sub(r",? https?://[^\s)]+", "", text.partition("\n")[0]).replace("``", "`").replace(" ()", "")
    links = [f"[{url.partition('//')[2]}]({url})" for url in dict.fromkeys(_REFERENCE.findall(text))]
    return title.replace("|", "&#124;").removesuffix("."), ", ".join(links)


def _band_rows(run: Run) -> Iterator[list[str]]:
    precision, num_videos = run.label_precision, count_videos(run)
    for band in (*BANDS, "all"):
        labels = precision if band == "all" else precision[precision["band"] == band]
        measured = labels[labels["ap"].notna()]
        frequency = f"{labels['training_videos'].min():,} to {labels['training_videos'].max():,}" if len(labels) else ""
        row = [band, f"{len(labels):,}", f"{len(measured):,}", frequency]
        if len(measured):
            mean, low, high = mean_interval(measured["ap"].to_numpy("float64"))
            interval = "" if np.isnan(low) else f"[{max(low, 0):.4f}, {min(high, 1):.4f}]"
            row += [f"{mean:.4f}", interval, f"{random_precisions(measured, num_videos).mean():.4f}"]
        yield row + [""] * (7 - len(row))
