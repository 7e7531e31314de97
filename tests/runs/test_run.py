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


def test_run_is_the_same_when_opened_again(run: Run) -> None:
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
        ("{", "no JSON"),
        ("[]", "expected a JSON object"),
        ('{"format": 99}', "found format 99; expected format 1"),
        ('{"format": 1, "facts": {}}', "facts: no entry 'schema'"),
        ('{"format": 1, "facts": 3}', "facts: found int"),
    ],
)
def test_run_says_what_is_wrong_when_its_config_is_damaged(run: Run, config: str, message: str) -> None:
    (run.path / "config.json").write_text(config)
    with pytest.raises(UserError, match=rf"config\.json.*{message}"):
        Run.open(run.path)


def test_run_says_that_it_is_none_when_the_folder_is_another(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no run folder: it has no config\.json"):
        Run.open(tmp_path)


def test_run_says_what_is_wrong_when_its_weights_do_not_fit(run: Run) -> None:
    weights = run.path / "model.safetensors"
    save_file({"classification.expert": torch.zeros(2, 2)}, weights)
    with pytest.raises(
        UserError, match=r"model\.safetensors: found weights that do not fit .* 'classification\.expert' \[2, 2\]"
    ):
        run.load_model()
    weights.write_bytes(b"not tensors")
    with pytest.raises(UserError, match=r"model\.safetensors: weights that cannot be read"):
        run.load_model()
    weights.unlink()
    with pytest.raises(UserError, match=r"no trained weights.*Train it to its end"):
        run.load_model()


def test_unfinished_run_says_so_when_asked_for_its_metrics(run: Run) -> None:
    (run.path / "metrics.json").unlink()
    assert not run.finished
    with pytest.raises(UserError, match="is not finished"):
        _ = run.metrics


@pytest.mark.fault
def test_run_folder_holds_nothing_pickled(run: Run) -> None:
    for file in (file for file in run.path.rglob("*") if file.is_file()):
        assert b"\x80\x04" not in file.read_bytes()[:2], file
        board = file.parent.name == "tensorboard" and file.name.startswith("events.out.tfevents.")
        assert board or file.suffix in (".json", ".csv", ".safetensors", ".parquet")
    json.loads((run.path / "config.json").read_text())


def test_log_and_predictions_that_are_gone_or_no_such_thing_are_told(run: Run) -> None:
    assert {"epoch", "examples", "loss", "gap"} <= set(run.log)
    assert list(run.predictions) == ["id", "labels", "scores", "true_labels"]
    for name, content, message in (
        ("log.csv", None, "has no log of its training yet"),
        ("log.csv", b"", "has no log of its training yet"),
        ("log.csv", b"a,b\n1,2\n", "no log of a training .*epoch"),
        ("log.csv", b"\xff\xfe\x00", "no log of a training"),
        ("log.csv", b'a,b\n1,2,3,4\n"\n', "no log of a training"),
        ("predictions.parquet", None, "has no predictions"),
        ("predictions.parquet", b"PAR1 or not", "no predictions"),
    ):
        (run.path / name).unlink(missing_ok=True)
        if content is not None:
            (run.path / name).write_bytes(content)
        with pytest.raises(UserError, match=message):
            _ = run.log if name == "log.csv" else run.predictions
