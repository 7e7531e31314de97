import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.support.tiny import tiny_experiment
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run, find_runs
from yt8m_core.training.loop import train


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return train(tiny_experiment(tmp_path), tmp_path / "runs" / "one")


def test_opened_run_equals_the_trained_one(run: Run) -> None:
    opened = Run.open(run.path)
    assert (opened.experiment, opened.facts, opened.metrics) == (run.experiment, run.facts, run.metrics)
    assert opened.vocabulary == run.vocabulary
    model = opened.load_model()
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_runs_are_found_by_their_config(run: Run) -> None:
    (run.path.parent / "no run").mkdir()
    assert find_runs(run.path.parent) == [run.path]
    assert find_runs(run.path / "nowhere") == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "invalid JSON"),
        ("[]", "expected a JSON object"),
        ('{"format": 99}', "found format 99; expected format 2"),
        ('{"format": 2, "facts": {}}', "facts: no entry 'schema'"),
        ('{"format": 2, "facts": 3}', "facts: found int"),
    ],
)
def test_damaged_config_is_an_error(run: Run, config: str, message: str) -> None:
    (run.path / "config.json").write_text(config)
    with pytest.raises(UserError, match=rf"config\.json.*{message}"):
        Run.open(run.path)


def test_run_of_an_earlier_version_is_refused_in_one_sentence(run: Run) -> None:
    """Format 1 spelled the normalization in British English."""
    file = run.path / "config.json"
    config = json.loads(file.read_text())
    config["experiment"]["normalisation"] = config["experiment"].pop("normalization")
    file.write_text(json.dumps({**config, "format": 1}))
    with pytest.raises(UserError) as error:
        Run.open(run.path)
    assert str(error.value) == (
        f"{file}: found format 1; expected format 2. The run was trained by another version of this program; train it "
        "again."
    )


def test_folder_without_config_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a run folder: it has no config\.json"):
        Run.open(tmp_path)


def test_weights_that_do_not_fit_are_an_error(run: Run) -> None:
    weights = run.path / "model.safetensors"
    save_file({"classification.expert": torch.zeros(2, 2)}, weights)
    with pytest.raises(
        UserError, match=r"model\.safetensors: found weights that do not fit .* 'classification\.expert' \[2, 2\]"
    ):
        run.load_model()
    weights.write_bytes(b"not tensors")
    with pytest.raises(UserError, match=r"model\.safetensors: cannot read the weights"):
        run.load_model()
    weights.unlink()
    with pytest.raises(UserError, match=r"no trained weights.*Finish its training"):
        run.load_model()


def test_metrics_of_an_unfinished_run_are_an_error(run: Run) -> None:
    (run.path / "metrics.json").unlink()
    assert not run.is_finished
    with pytest.raises(UserError, match="is not finished"):
        _ = run.metrics


@pytest.mark.fault
def test_run_folder_holds_nothing_pickled(run: Run) -> None:
    for file in (file for file in run.path.rglob("*") if file.is_file()):
        assert b"\x80\x04" not in file.read_bytes()[:2], file
        board = file.parent.name == "tensorboard" and file.name.startswith("events.out.tfevents.")
        assert board or file.suffix in (".json", ".csv", ".safetensors", ".parquet")
    json.loads((run.path / "config.json").read_text())


def test_missing_or_invalid_log_and_tables_are_errors(run: Run) -> None:
    assert {"epoch", "examples", "loss", "gap"} <= set(run.log)
    assert list(run.predictions) == ["id", "labels", "scores", "true_labels"]
    for name, content, message in (
        ("log.csv", None, "has no training log yet"),
        ("log.csv", b"", "has no training log yet"),
        ("log.csv", b"a,b\n1,2\n", "not a training log .*epoch"),
        ("log.csv", b"\xff\xfe\x00", "not a training log"),
        ("log.csv", b"epoch,step,examples,loss,gap,update_pooling\n0,1,9,1,,-1\n", "column 'update_pooling'"),
        ("log.csv", b"epoch,step,examples,loss,gap,update_pooling\n0,1,9,1,,inf\n", "column 'update_pooling'"),
        ("log.csv", b'a,b\n1,2,3,4\n"\n', "not a training log"),
        ("predictions.parquet", None, "has no predictions"),
        ("predictions.parquet", b"PAR1 or not", "cannot read the predictions"),
        ("label_precision.parquet", None, "no average precision by label.*older version; train it again"),
        ("label_precision.parquet", b"PAR1 or not", "cannot read the label precision"),
    ):
        (run.path / name).unlink(missing_ok=True)
        if content is not None:
            (run.path / name).write_bytes(content)
        with pytest.raises(UserError, match=message):
            getattr(run, name.partition(".")[0])
