import dataclasses
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command import yt8m
from tests.support.tiny import tiny_experiment
from yt8m_core.ablation import learning_rate_search
from yt8m_core.analysis.candidate_file import stored_candidates
from yt8m_core.cli.ablations import ablate
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import TABLES
from yt8m_core.runs.run import Run

STREAMS = ("--streams", "rgb:24", "audio:8")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    tiny_experiment(root)
    return root


@pytest.fixture(scope="module")
def run(root: Path) -> Path:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yt8m(
            monkeypatch, "train", "--train", root / "train", "--validation", root / "validation", "--run", root / "run",
            *STREAMS, "--pooling", "indirect_clustering(scale=2.0)", "--classification", "mlp(hidden=[16, 16])",
            "--epochs", "2", "--batch-size", "16", "--learning-rate", "0.01", "--seed", "3",
        )  # fmt: skip
    return root / "run"


def test_train_stores_its_flags_and_the_papers_defaults(run: Path) -> None:
    experiment = Run.open(run).experiment
    assert str(experiment) == "indirect_clustering(scale=2.0) → mlp(hidden=[16, 16]) → identity → cross_entropy"
    assert (experiment.training.epochs, experiment.training.batch_size, experiment.seed) == (2, 16, 3)
    assert (experiment.training.decay, experiment.training.clip_norm, experiment.normalization) == (0.95, 1.0, "joint")
    assert experiment.data.train == str(run.parent / "train")


def test_train_repeats_a_run_from_its_config(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    yt8m(monkeypatch, "train", "--experiment", run / "config.json", "--run", tmp_path / "again")
    assert "95% CI [" in capsys.readouterr().out
    weights = [(folder / "model.safetensors").read_bytes() for folder in (run, tmp_path / "again")]
    assert weights[0] == weights[1]


def test_train_takes_every_setting_as_a_flag_with_the_default_of_its_dataclass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        yt8m(monkeypatch, "train", "--help")
    assert stopped.value.code == 0
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for kind in (Data, Training, Experiment):
        for field in dataclasses.fields(kind):
            if field.name not in ("data", "training"):
                assert f"--{field.name.replace('_', '-')} " in printed.replace(", --no-", " --no-")
    assert "Number of videos per optimizer step. (default: 128)" in printed
    assert "(default: 0.0006)" in printed
    assert "--pooling SLOT" in printed


def test_train_flags_override_the_experiment_file(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Experiment] = []

    def record(experiment: Experiment, folder: Path, **options: object) -> Run:
        trained.append(experiment)
        return Run.open(run)

    monkeypatch.setattr("yt8m_core.training.loop.train", record)
    before = Run.open(run).experiment
    config = run / "config.json"
    yt8m(monkeypatch, "train", "--run", tmp_path, f"--experiment={config}")
    assert trained.pop() == before
    monkeypatch.chdir(run.parent)
    yt8m(
        monkeypatch, "train", "--run", tmp_path, "--experiment", config, "--validation", "train",
        "--vocabulary", "v.csv", "--streams", "rgb:24", "--max-frames", "7", "--pooling", "mean",
        "--label-processing", "correlation(beta=0.5)",
        "--loss", "center(weight=0.1)", "--fusion", "compact_bilinear(width=8)", "--normalization", "none", "--compile",
        "--accumulate", "2", "--ema", "0.9", "--precision", "bfloat16", "--pool-once", "no", "--clip-norm", "0.5",
        "--l2", "0", "--beta1", "0.8", "--decay-examples", "10", "--schedule", "cosine", "--skip-bad",
    )  # fmt: skip
    experiment = trained.pop()
    data = replace(
        before.data, validation=str(run.parent / "train"), vocabulary=str(run.parent / "v.csv"), streams=(("rgb", 24),),
        max_frames=7,
    )  # fmt: skip
    training = replace(
        before.training, compile=True, accumulate=2, ema=0.9, precision="bfloat16", pool_once="no", clip_norm=0.5,
        l2=0.0, beta1=0.8, decay_examples=10, schedule="cosine",
    )  # fmt: skip
    assert experiment == replace(
        before, data=data, training=training, pooling=Slot("mean"), label_processing=Slot("correlation", {"beta": 0.5}),
        loss=Slot("center", {"weight": 0.1}), fusion=Slot("compact_bilinear", {"width": 8}), normalization="none",
    )  # fmt: skip
    compiled = tmp_path / "compiled.json"
    compiled.write_text(json.dumps(experiment.to_dict()))
    yt8m(monkeypatch, "train", "--run", tmp_path, "--experiment", compiled, "--no-compile", "--streams")
    assert not trained[-1].training.compile
    assert trained[-1].data.streams == ()


def test_train_with_other_flags_in_a_finished_run_offers_init(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(run.parent)
    config = run / "config.json"
    with pytest.raises(SystemExit) as stopped:
        yt8m(monkeypatch, "train", "--run", "run", "--experiment", config, "--epochs", "1")
    epochs = Run.open(run).experiment.training.epochs
    assert str(stopped.value) == (
        f"yt8m: run: another experiment (epochs: {epochs} in the run, 1 here). Choose another run folder. "
        "To train on from its weights: --init run --run NEW."
    )
    command = ("train", "--init", "run", "--run", tmp_path / "new", "--experiment", config, "--epochs", "1")
    yt8m(monkeypatch, *command)
    assert f", from the weights of {run}\n" in capsys.readouterr().out
    assert Run.open(tmp_path / "new").experiment.init == str(run)


def test_evaluate_prints_the_metrics_of_the_run_as_json(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    yt8m(monkeypatch, "evaluate", run, "--data", run.parent / "validation", "--json")
    printed = json.loads(capsys.readouterr().out)
    stored = Run.open(run).metrics["validation"]
    assert {name: printed[name] for name in stored} == pytest.approx(stored)
    yt8m(monkeypatch, "evaluate", run, "--data", run.parent / "validation")
    assert f"gap: {stored['gap']:.6g}" in capsys.readouterr().out


def test_predict_writes_the_csv(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yt8m(monkeypatch, "predict", run, "--data", run.parent / "validation", "--output", tmp_path / "p.csv")
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == "VideoId,LabelConfidencePairs"
    assert len(lines) == 41


def test_index_and_labels_describe_the_data(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    yt8m(monkeypatch, "index", root / "train", *STREAMS)
    assert "120 videos in 2 shards: frame-level features rgb (24) + audio (8)" in capsys.readouterr().out
    yt8m(monkeypatch, "labels", root / "train", *STREAMS, "--minimum-support", "5", "--pairs", "2")
    printed = capsys.readouterr().out
    assert "120 videos with 6 of 6 labels" in printed
    assert "Pairs with the highest φ in at least 5 videos" in printed
    assert "label 2 (unnamed)" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["index", "nowhere"], "no file matches"),
        (["index", "{root}"], "Its subfolders train, validation contain shards"),
        (["index", "{root}/train"], "For features of your own, name the streams|expected.*1024"),
        (["index", "{root}/train", "--streams", "rgb"], "stream 'rgb'; expected name:width"),
        (["index", "{root}/train", "--streams", "rgb:24", "rgb:24"], "streams rgb:24 rgb:24; expected each name once"),
        (["index", "{root}/train", "--streams", "rgb:" + "9" * 5000], "a width from 1 to 1,048,576, for example"),
        (["evaluate", "{root}/train", "--data", "x"], "not a run folder"),
        (["predict", "{root}/run", "x.npz", "--top", "-1"], "top: found -1; expected a number of at least 0"),
        (["labels", "{root}/train", "--pairs", "-1"], "pairs: found -1; expected a number of at least 0"),
        (["labels", "{root}/train", "--minimum-support", "-1"], "minimum support: found -1; expected"),
        (["train", "--run", "{root}/r", "--train", "{root}/train"], "no validation data.*--validation DATA.*--fold"),
        (["train", "--run", "{root}/r", "--train", "x", "--fold", "5/4"], "data, fold: found '5/4'; expected K/N"),
        (["train", "--run", "{root}/r", "--fold", "1/4"], "no train data"),
        (["missing-labels", "--train", "{root}/train", "--output", "{root}"], "found a folder; expected a CSV file"),
        (["missing-labels", "--train", "x", "--output", "{root}/c.csv", "--folds", "1"], "folds: found 1; expected"),
        (["missing-labels", "--train", "nowhere", "--output", "{root}/c.csv"], "no file matches"),
        (["train", "--run", "{root}/r", "--experiment", "{root}/none.json"], "no file"),
        (["train", "--run", "{root}/r", "--train", "x", "--validation", "x", "--pooling", "2+2"], "cannot read"),
        (["train", "--run", "{root}/r", "--experiment", "{root}/number.json"], "a JSON object"),
        (["train", "--run", "{root}/r", "--experiment", "{root}/text.json"], "experiment: found str"),
        (["train", "--run", "{root}/r", "--experiment", "{root}/data.json"], "experiment, data: found int"),
        (["train", "--run", "{root}/r", "--train", "x", "--validation", "x", "--epochs", "0"], "training, epochs"),
    ],
)
def test_error_is_one_sentence_without_a_traceback(
    root: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    for name, text in (("number", "3"), ("text", '{"experiment": "x"}'), ("data", '{"data": 3}')):
        (root / f"{name}.json").write_text(text)
    with pytest.raises(SystemExit) as stopped:
        yt8m(monkeypatch, *[argument.format(root=root) for argument in arguments])
    assert str(stopped.value.code).startswith("yt8m: ")
    assert re.search(message, str(stopped.value.code))


def test_unwritable_output_is_one_sentence_without_a_traceback(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stopped:
        yt8m(monkeypatch, "predict", run, "--data", run.parent / "validation", "--output", tmp_path / "file" / "p.csv")
    assert re.match(r"yt8m: .*: .*file", str(stopped.value.code))


@pytest.mark.slow
def test_console_script_fails_with_an_exit_status_and_no_traceback() -> None:
    script = Path(sys.executable).with_name("yt8m")
    process = subprocess.run([script, "index", "nowhere"], capture_output=True, text=True, env=os.environ)
    assert process.returncode == 1
    assert process.stderr.startswith("yt8m: no file matches")
    assert "Traceback" not in process.stderr


def test_ensemble_prints_each_member_and_writes_the_average(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = run.parent / "validation"
    yt8m(monkeypatch, "predict", run, "--data", data, "--output", tmp_path / "a.parquet")
    output = tmp_path / "p.csv"
    yt8m(
        monkeypatch, "ensemble", run, tmp_path / "a.parquet", "--data", data, "--output", output, "--weights", "3", "3"
    )
    yt8m(monkeypatch, "predict", run, "--data", data, "--output", tmp_path / "a.csv")
    assert output.read_text() == (tmp_path / "a.csv").read_text()  # of a member and itself
    printed = capsys.readouterr().out
    assert f"{output}: 40 videos" in printed
    assert re.search(r"ensemble +0\.\d{4}", printed)
    assert "Diversity of the members" in printed


def test_ensemble_says_how_many_labels_a_csv_member_lists(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, other = run.parent / "validation", tmp_path / "other.csv"
    yt8m(monkeypatch, "predict", run, "--data", data, "--output", other)
    lines = other.read_text().splitlines()
    other.write_text("\n".join([lines[0], *(" ".join(line.split(" ")[:4]) for line in lines[1:])]))
    yt8m(monkeypatch, "ensemble", run, other, "--data", data)
    printed = capsys.readouterr().out
    assert f"member {other} lists 2 labels per video; the other labels count 0\n" in printed
    assert re.search(rf"{other} +0\.\d{{4}}", printed)


def test_ablate_prints_rows_and_claims_and_stores_no_smoke_test(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YT8M_HOME", str(demo_home))
    yt8m(monkeypatch, "ablate", "single", "--scale", "smoke", "--output", tmp_path)
    printed = capsys.readouterr().out
    assert "LSTM-M-O + MoE-2 + Huber" in printed
    assert "The Huber loss does not change the GAP of LSTM-M-O" in printed
    assert list(tmp_path.iterdir()) == []


def test_rates_prints_each_architecture_and_stores_no_smoke_test(
    rates_file: Path, demo_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    before = rates_file.read_bytes()
    monkeypatch.setenv("YT8M_HOME", str(demo_home))
    row = TABLES["label_processing"].rows[0]
    monkeypatch.setattr(learning_rate_search, "searched_rows", lambda scale, tables: [(table, row) for table in tables])
    yt8m(monkeypatch, "rates", "--tables", "label_processing", "--scale", "smoke")
    lines = capsys.readouterr().out.splitlines()
    assert "label_processing: concat → indirect_clustering → moe(experts=16)" in lines[0]
    assert "0.001: " in lines[1]
    assert lines[2].startswith("1 architectures in")
    assert rates_file.read_bytes() == before


def test_missing_labels_writes_the_candidates_and_the_same_command_trains_nothing_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    command = (
        "missing-labels", "--train", root / "train", "--output", tmp_path / "candidates.csv", "--folds", "2",
        "--limit", "15", *STREAMS, "--epochs", "1", "--batch-size", "16",
    )  # fmt: skip
    yt8m(monkeypatch, *command)
    assert f"{tmp_path / 'candidates.csv'}: 15 candidates for missing labels" in capsys.readouterr().out
    written = (tmp_path / "candidates.csv").read_bytes()
    assert written.startswith(b'"rank","id","location","label","name","score","probability","listed_labels"')
    assert len(written.splitlines()) == 16
    (folder,) = (tmp_path / "home" / "missing-labels").iterdir()
    runs = {path.name: Run.open(path) for path in folder.iterdir() if path.is_dir()}
    assert sorted(runs) == ["fold-1-of-2", "fold-2-of-2"]
    assert stored_candidates(folder.parent, str(root / "train")) == folder / "candidates.csv"
    assert (folder / "candidates.csv").read_bytes() == written
    experiment = runs["fold-2-of-2"].experiment
    assert experiment.data == Data(str(root / "train"), "", streams=(("rgb", 24), ("audio", 8)), fold="2/2")
    assert (experiment.training.learning_rate, experiment.training.epochs) == (0.03, 1)
    monkeypatch.setattr("yt8m_core.training.loop.open_splits", lambda *_, **options: pytest.fail("trained again"))
    (tmp_path / "candidates.csv").unlink()
    yt8m(monkeypatch, *command)
    assert (tmp_path / "candidates.csv").read_bytes() == written


def test_train_validates_on_a_fold(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    yt8m(monkeypatch, "train", "--train", root / "train", "--fold", "1/4", "--run", folder, *STREAMS, "--epochs", "1")
    facts = Run.open(folder).facts
    assert facts.train_videos + facts.validation_videos == 120
    assert 0 < facts.validation_videos < 60


def test_help_of_ablate_names_every_table() -> None:
    assert [table for table in TABLES if not re.search(rf"\b{table}\b", str(ablate.__doc__))] == []
