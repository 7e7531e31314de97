"""Commands about runs: train them, measure them, let them predict, alone and together."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import tyro

from yt8m_core.cli.arguments import RunArgument, absolute, gap_of, streams_of
from yt8m_core.errors import UserError
from yt8m_core.progress import Bars


def train(
    run: Path,
    train: str | None = None,
    validation: str | None = None,
    experiment: Path | None = None,
    pooling: str | None = None,
    classification: str | None = None,
    label_processing: str | None = None,
    loss: str | None = None,
    fusion: str | None = None,
    normalization: str | None = None,
    vocabulary: Path | None = None,
    streams: tuple[str, ...] = (),
    max_frames: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    accumulate: int | None = None,
    ema: float | None = None,
    precision: str | None = None,
    compile: bool | None = None,
    pool_once: str | None = None,
    seed: int | None = None,
    skip_bad: bool = False,
) -> None:
    """Train one experiment; the same command goes on where an earlier one was stopped.

    On several GPUs, or machines: torchrun --standalone --nproc-per-node 8 -m -- yt8m_core train …

    A slot is a name, or a name with options: --classification "moe(experts=16)". What is not given is as in the
    paper, or as in --experiment.

    Args:
        run: The folder to leave the run in.
        train: The training data: a shard, a folder of shards, or a glob.
        validation: The validation data, likewise.
        experiment: A JSON file to start from, for example the config.json of a run.
        pooling: Frames to a vector: lstm, cnn, position_encoding, indirect_clustering, adaptive_noise, mean, and more.
        classification: A vector to scores: moe, two_layer_moe, mlp, logistic; or many_to_many, with --pooling none.
        label_processing: Scores to scores: identity, correlation, context_gating.
        loss: cross_entropy, pseudo_huber, center.
        fusion: Of a frame's streams: concat, compact_bilinear.
        normalization: Of a frame's features: joint, per_modality, none.
        vocabulary: The names of the labels; without it, the vocabulary beside the training data, if any.
        streams: Feature streams of your own as name:width.
        max_frames: The first so many frames of a video are used (300).
        epochs: Passes over the training data (5).
        batch_size: Videos a step (128).
        learning_rate: Of Adam (0.0006).
        accumulate: Take each batch in so many parts, which needs less memory (1).
        ema: Decay of a moving average of the weights, which is then what is kept, such as 0.999 (0: none).
        precision: Of the matrix products: float32, or bfloat16 on GPUs that have it (float32).
        compile: The model by torch.compile, for long trainings on frames: half a minute first, then faster (no).
        pool_once: How the vectors of a pooling without weights are kept for all epochs and later trainings: float32,
            bfloat16 in half the room, or no to read the frames each time (float32).
        seed: Of the weights and of the order of the videos (0).
        skip_bad: Leave bad records out, and say which; without it, the first one ends the command.
    """
    from yt8m_core.experiment import Experiment
    from yt8m_core.models.slot import Slot
    from yt8m_core.training.loop import train as train_experiment
    from yt8m_core.training.step import configure_training_process

    values = _experiment_json(experiment)
    data = {
        "train": train and absolute(train),
        "validation": validation and absolute(validation),
        "vocabulary": vocabulary and absolute(vocabulary),
        "streams": streams_of(streams),
        "max_frames": max_frames,
    }
    training = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "accumulate": accumulate,
        "ema": ema,
        "precision": precision,
        "compile": compile,
        "pool_once": pool_once,
    }
    slots = {"pooling": pooling, "classification": classification, "label_processing": label_processing, "loss": loss}
    slots |= {"fusion": fusion}
    for part, given in (("data", data), ("training", training)):
        values[part] = {**values.get(part, {}), **{name: value for name, value in given.items() if value is not None}}
    for name, text in slots.items():
        if text is not None:
            slot = Slot.parse(text)
            values[name] = {"name": slot.name, "options": dict(slot.options)}
    values |= {name: v for name, v in {"normalization": normalization, "seed": seed}.items() if v is not None}
    for name in ("train", "validation"):
        if name not in values["data"]:
            raise UserError(f"no {name} data", advice=f"Name it: --{name} DATA (a shard, a folder of shards, a glob).")
    configure_training_process()
    trained = train_experiment(Experiment.from_dict(values), run, skip_bad=skip_bad, progress=Bars())
    if os.environ.get("RANK", "0") == "0":  # one of torchrun's processes speaks for all
        print(f"{trained.path}: {trained.experiment}")
        print(f"{gap_of(trained.metrics['validation'])} ({trained.facts.scale})")


def evaluate(
    run: RunArgument,
    data: str,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    skip_bad: bool = False,
) -> None:
    """Measure a run on a data set.

    Args:
        run: A run folder.
        data: A shard, a folder of shards, or a glob.
        as_json: Print the metrics as JSON.
        skip_bad: Leave bad records out, and say which; without it, the first one ends the command.
    """
    from yt8m_core.data.tfrecord.bad_records import warn_of_bad
    from yt8m_core.inference.evaluation import evaluate as evaluate_model
    from yt8m_core.inference.evaluation import open_data_of
    from yt8m_core.runs.run import Run

    opened, bars = Run.open(run), Bars()
    model = opened.load_model()
    videos = open_data_of(opened, data, skip_bad=skip_bad, progress=bars)
    warn_of_bad(videos.bad)
    metrics = evaluate_model(model, videos, num_classes=opened.facts.num_classes, progress=bars).metrics
    if as_json:
        print(json.dumps({"run": str(run), "data": data, "bad_records": len(videos.bad), **metrics}))
        return
    print(f"{opened.path} on {data}: {gap_of(metrics)}")
    for name, value in metrics.items():
        print(f"  {name}: {value:.6g}")


def predict(run: RunArgument, data: str, output: Path, skip_bad: bool = False) -> None:
    """Write what a run says of every video.

    A .csv is that of the Kaggle competitions of 2017 and 2018, the 20 best labels of each video. A .parquet has all
    scores, to be a member of an ensemble.

    Args:
        run: A run folder.
        data: A shard, a folder of shards, or a glob; labels are not needed.
        output: The file to write, .csv or .parquet.
        skip_bad: Leave bad records out, and say which; without it, the first one ends the command.
    """
    from yt8m_core.data.tfrecord.bad_records import warn_of_bad
    from yt8m_core.inference.evaluation import open_data_of, score
    from yt8m_core.inference.prediction import write_predictions
    from yt8m_core.runs.run import Run

    opened, bars = Run.open(run), Bars()
    model = opened.load_model()
    videos = open_data_of(opened, data, skip_bad=skip_bad, progress=bars)
    warn_of_bad(videos.bad)
    write_predictions(score(model, videos, progress=bars), videos, output)
    print(f"{output}: {len(videos):,} videos")


def ensemble(
    members: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MEMBER")],
    data: str,
    output: Path | None = None,
    weights: tuple[float, ...] = (),
    average: str = "probability",
    skip_bad: bool = False,
) -> None:
    """Average what several runs say, and show how good each is and how alike they are.

    Args:
        members: Run folders, and .parquet files of all scores that `yt8m predict` wrote of the same data.
        data: A shard, a folder of shards, or a glob.
        output: A .csv or .parquet file to write the ensemble's predictions to.
        weights: One number a member; without them all count alike.
        average: Of probability, or of logit.
        skip_bad: Leave bad records out, and say which; without it, the first one ends the command.
    """
    from yt8m_core.data.tfrecord.bad_records import warn_of_bad
    from yt8m_core.inference.ensemble import Ensemble
    from yt8m_core.inference.prediction import write_predictions

    bars = Bars()
    opened = Ensemble.open(members, data, weights=weights, kind=average, skip_bad=skip_bad, progress=bars)
    warn_of_bad(opened.videos.bad)
    comparison = opened.compare()
    scored = opened.score(comparison, bars)
    if output is not None:
        write_predictions(scored, opened.videos, output)
        print(f"{output}: {len(opened.videos):,} videos")
    else:
        for _ in scored:
            pass
    if comparison.labeled:
        print(comparison.members().to_string(index=False, float_format="%.4f"))
    if len(members) > 1:
        print("\nHow alike the members are:")
        print(comparison.diversity().to_string(index=False, float_format="%.3f"))


def _experiment_json(path: Path | None) -> dict[str, Any]:
    """The values of an experiment file; of a run's config.json, the experiment in it."""
    if path is None:
        return {}
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"no file {path}") from None
    except ValueError as error:
        raise UserError(f"no JSON ({error})", where=str(path)) from None
    if not isinstance(values, dict):
        raise UserError("no JSON object", where=str(path))
    return dict(values.get("experiment", values))
