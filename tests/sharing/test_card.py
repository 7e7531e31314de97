"""Model cards, read back by the Hub's library and by a Markdown parser."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import mistune
import numpy as np
import pandas as pd
import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given

from tests.sharing.test_markdown import NASTY, texts
from tests.support.command import yt8m
from tests.support.tiny import tiny_experiment, write_tiny
from yt8m_core.data.schema import Schema
from yt8m_core.data.vocabulary import Vocabulary, write_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment
from yt8m_core.models.registry import SLOTS
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Facts, Run
from yt8m_core.sharing import card_limits, card_sections
from yt8m_core.sharing.card import BEGIN, END, PLACEHOLDER, render_card, write_card
from yt8m_core.sharing.card_metadata import METRIC_NAMES
from yt8m_core.training.loop import train

parse = mistune.create_markdown(renderer="ast", plugins=["table", "url"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("private-folder")
    write_tiny(root / "other", 90, seed=7)
    return train(tiny_experiment(root), root / "run").path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(trained, tmp_path / "run"))


def elements(parts: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the parsed elements of a kind."""
    found = [part for part in parts if part["type"] == kind]
    return found + [element for part in parts for element in elements(part.get("children", []), kind)]


def rewrite_config(run: Run, experiment: Experiment) -> Run:
    config = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps({**config, "experiment": experiment.to_dict()}))
    return Run.open(run.path)


# --- content


def test_library_of_the_hub_reads_metadata_and_metrics(run: Run) -> None:
    card = ModelCard(render_card(run, repo="ada/tiny", license_id="cc-by-4.0"))
    assert (card.data.license, card.data.library_name, card.data.pipeline_tag) == (
        "cc-by-4.0", "yt8m", "video-classification",
    )  # fmt: skip
    assert {"mean", "moe", "cross_entropy", "arxiv:1706.07960"} <= set(card.data.tags)
    assert card.data.model_name == "tiny"
    validation = run.metrics["validation"]
    results = {result.metric_type: result for result in card.data.eval_results}
    assert {kind: result.metric_value for kind, result in results.items()} == {
        kind: round(validation[kind], 4) for kind in METRIC_NAMES if kind in validation
    }
    assert results["gap"].dataset_name == "validation (sample of real data)"
    assert f"[{validation['gap_low']:.4f}, {validation['gap_high']:.4f}]" in results["gap"].metric_name


def test_card_has_slots_data_metrics_and_settings(run: Run) -> None:
    card, validation = render_card(run), run.metrics["validation"]
    assert "`moe(experts=2, dummy=True, embedding=0)`" in card
    assert "Mixture of experts: k experts per class, weighted by a gate (section 2.3.2, equations 14 and 15)" in card
    assert "| videos | 120 | 40 |" in card
    assert "Scale: sample of real data." in card
    assert "`rgb` (24) + `audio` (8)" in card
    assert "| learning rate | `0.02` |" in card
    interval = f"[{validation['gap_low']:.4f}, {validation['gap_high']:.4f}]"
    assert f"| GAP@20 | {validation['gap']:.4f} | {interval} |" in card
    for name in ("Hit@1", "PERR"):
        assert f"| {name} | " in card


def test_bands_are_those_of_the_run_with_interval_and_random_order(run: Run) -> None:
    precision, card = run.label_precision, render_card(run)
    random = np.random.default_rng(0)
    for band in ("head", "mid", "tail", "all"):
        labels = precision[precision["ap"].notna() & ((precision["band"] == band) | (band == "all"))]
        (row,) = [line for line in card.splitlines() if line.startswith(f"| {band} |")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[2] == str(len(labels))
        assert cells[4] == f"{run.metrics['validation'][f'ap_{band}']:.4f}"
        orders = [mean_random_precision(labels["positives"], 40, random) for _ in range(300)]
        assert float(cells[6]) == pytest.approx(np.mean(orders), abs=4 * np.std(orders) / np.sqrt(300) + 1e-3)


def mean_random_precision(positives: "pd.Series[int]", num_videos: int, random: np.random.Generator) -> float:
    """Return the mean average precision of labels with these numbers of positives in a random order."""
    precisions = []
    for number in positives:
        ranks = np.sort(random.permutation(num_videos)[:number]) + 1
        precisions.append(np.mean(np.arange(1, number + 1) / ranks))
    return float(np.mean(precisions))


def test_labels_that_are_ranked_by_chance_are_named(run: Run) -> None:
    precision = run.label_precision
    precision.loc[[1, 4], "ap"] = 0.01
    precision.to_parquet(run.path / "label_precision.parquet", index=False)
    names = tuple(f"label {letter}" for letter in "ABCDEF")
    write_vocabulary(run.path / "vocabulary.csv", Vocabulary(names, ("",) * 6))
    card = render_card(Run.open(run.path))
    (line,) = [line for line in card.splitlines() if "no better than in a random order" in line]
    assert line.startswith("- 2 labels are ranked")
    assert {name for name in names if name in line} == {"label B", "label E"}
    few = (precision["positives"] < card_limits.MANY_POSITIVES).sum()
    assert f"0 of 6 labels have no validation video, and {few} have fewer than 10" in card


def test_calibration_is_shown_if_there_is_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "The probabilities are not calibrated" in render_card(run)
    yt8m(monkeypatch, "calibrate", run.path, "--data", Path(run.experiment.data.train).parent / "other")
    card = render_card(run)
    assert "The probabilities are not calibrated" not in card
    assert f"Temperature: {run.calibration.temperatures[0].temperature:.4f} (scores)" in card
    assert "videos of `other` and measured on" in card


def test_run_on_a_fold_and_of_an_older_version_has_a_card(run: Run) -> None:
    data = replace(run.experiment.data, fold="2/5")
    (run.path / "label_precision.parquet").unlink()
    card = render_card(rewrite_config(run, replace(run.experiment, data=data)))
    assert "| name | `train` without that fold | fold 2/5 of `train` |" in card
    assert "| band |" not in card
    assert ModelCard(card).data.eval_results[0].dataset_name == "train, fold 2/5 (sample of real data)"


def test_known_data_are_named_and_the_demo_world_is_not(run: Run) -> None:
    streams = (("rgb", 1024), ("audio", 128))
    vocabulary = Vocabulary(("",) * 3862, ("",) * 3862)
    for scale in ("paper", "demo"):
        facts = Facts(Schema("frame", streams), 3862, scale, 3_000_000, 40)
        folder = run.path.with_name(scale)
        Run.create(folder, run.experiment, facts, vocabulary)
        shutil.copy(run.path / "metrics.json", folder)
        card = render_card(Run.open(folder))
        is_known = scale == "paper"
        assert ("YouTube-8M, 2018 edition" in card) == is_known
        assert (ModelCard(card).data.get("datasets") == ["youtube-8m"]) == is_known
        assert ("are machine-generated" in card) == is_known
        assert ("demo world is synthetic" in card) != is_known


def test_every_method_has_a_description_and_the_paper_or_another_reference() -> None:
    without = []
    for slot, methods in SLOTS.items():
        for method in methods:
            title, references = card_sections._origin(slot, Slot(method))
            assert len(title) > 10, method
            assert "http" not in title
            without += [] if references else [method]
    assert without == []


# --- nothing private, nothing injected


def test_card_has_no_path_and_no_video_id(run: Run, tmp_path: Path) -> None:
    card = render_card(run)
    for secret in (str(tmp_path), Path(run.experiment.data.train).parent.name, "private-folder"):
        assert secret not in card
    assert not any(f"{video}" in card.split() or f"`{video}`" in card for video in run.predictions["id"])


@pytest.mark.fault
@pytest.mark.parametrize("text", [*NASTY, BEGIN, END, f"{END}\n---\nlicense: evil\n---\n"])
def test_names_of_a_run_break_neither_metadata_nor_text(run: Run, text: str) -> None:
    plain = parse(render_card(run, license_id="mit").partition("---\n\n")[2])
    write_vocabulary(run.path / "vocabulary.csv", Vocabulary((text,) * 6, (text,) * 6))
    precision = run.label_precision
    precision["ap"] = 0.0  # so that the names are listed
    precision.to_parquet(run.path / "label_precision.parquet", index=False)
    name = text.replace("\0", "")
    data = Data(f"/home/ada/{name}", f"C:\\ada\\{name}", f"/x/{name}", run.experiment.data.streams)
    experiment = replace(
        run.experiment,
        data=data,
        loss=Slot(text, {text: text}),
        normalization=text,
        pooling=Slot("mean", {text: [text]}),
    )
    opened = rewrite_config(run, experiment)
    card = render_card(opened, license_id="mit")
    parsed = ModelCard(card)
    assert (parsed.data.license, parsed.data.model_name) == ("mit", "run")
    found = parse(parsed.text)
    comments = [element["raw"].strip() for element in elements(found, "block_html")]
    assert [comment for comment in comments if not comment.startswith((BEGIN, END))] == []
    assert elements(found, "inline_html") == []
    assert elements(found, "image") == []
    for kind in ("heading", "table", "table_row", "list", "block_code", "thematic_break"):
        assert len(elements(found, kind)) == len(elements(plain, kind)), kind
    links = {element["attrs"]["url"] for element in elements(found, "link")}
    assert all(link.startswith(("https://arxiv.org/abs/", "https://doi.org/")) for link in links)
    # The next rewrite finds the same markers.
    assert render_card(opened, existing=card) == card


@given(texts, texts)
def test_front_matter_survives_any_name(trained: Path, name: str, vocabulary: str) -> None:
    run = Run.open(trained)
    data = Data("train", f"x/{name}".replace("\0", "").encode(errors="replace").decode(), streams=((vocabulary, 3),))
    renamed = Run(run.path, replace(run.experiment, data=data), run.facts)
    card = render_card(renamed, repo="ada/tiny")
    assert ModelCard(card).data.model_name == "tiny"
    assert len(ModelCard(card).data.eval_results) > 5


# --- the text of a person


def test_text_license_and_own_entries_stay_when_the_card_is_written_again(run: Run) -> None:
    file = write_card(run, license_id="cc-by-4.0")
    assert file == run.path / "README.md"
    own = "\n# Birds\n\n<b>not</b> escaped, 100%\n---\n| a |\n\n\t"
    card = file.read_text().replace(PLACEHOLDER, own).replace("library_name:", "language: en\nlibrary_name:")
    file.write_text(card.replace("GAP@20 | 0.", "GAP@20 | 9."))
    write_card(run)
    assert f"{BEGIN}{own}{END}" in file.read_text()
    assert yaml.safe_load(card.split("---\n")[1]) == yaml.safe_load(file.read_text().split("---\n")[1])
    assert "9." not in file.read_text().partition("## Validation metrics")[2].partition("\n\n##")[0]
    write_card(run, license_id="mit")
    assert ModelCard.load(file).data.license == "mit"
    for change in (lambda text: "\ufeff" + text, lambda text: text.replace("---\n", "--- \n", 1)):
        file.write_text(change(file.read_text()))
        write_card(run)
        assert (ModelCard.load(file).data.license, ModelCard.load(file).data.language) == ("mit", "en")


def test_limits_tell_whether_validation_videos_were_learned_from(run: Run) -> None:
    assert "learned from" not in write_card(run).read_text()
    started = replace(run, experiment=replace(run.experiment, init="/home/ada/base"))
    file = run.path / "metrics.json"
    metrics = json.loads(file.read_text())
    for changes, expected in (
        ({"shared_videos": 7}, "**7 of the 40 validation videos are also training videos**"),
        ({"shared_videos": None}, "Whether training videos are among the validation videos was not compared."),
        ({"init_shared_videos": 9}, "has learned from 9 of the 40 validation videos**"),
        ({}, "Whether the run that the training started from has learned from validation videos was not compared."),
    ):
        values = {**metrics, **changes}
        file.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))
        text = write_card(started).read_text()
        assert expected in text.partition("## Limits")[2]
        assert "| starts from the weights of | `base` |" in text


@pytest.mark.fault
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"# My model\n", "a text that `yt8m card` did not write. Move it, or put it between"),
        (f"{END}\n{BEGIN}\n".encode(), "a text that `yt8m card` did not write"),
        (f"---\na: [\n---\n{BEGIN}{END}".encode(), "invalid YAML"),
        (f"---\na: 2020-99-99\n---\n{BEGIN}{END}".encode(), "invalid YAML"),
        *(
            (f"---\na: !!{value}\n---\n{BEGIN}{END}".encode(), "invalid YAML")
            for value in ('int ""', 'float ""', "bool foo", "timestamp foo")
        ),
        (f"---\n- a\n---\n{BEGIN}{END}".encode(), "found list; expected names and values"),
        (f"---\nlicense: [a, b]\n---\n{BEGIN}{END}".encode(), "license: found list"),
        (b"\xff\xfe", "cannot be read"),
        (bytes((1 << 20) + 1), "1,048,577 bytes"),
    ],
)
def test_file_that_is_no_card_is_not_overwritten(run: Run, content: bytes, message: str) -> None:
    file = run.path / "README.md"
    file.write_bytes(content)
    with pytest.raises(UserError) as error:
        write_card(run)
    assert message in str(error.value)
    assert file.read_bytes() == content


@pytest.mark.parametrize("license_id", ["Apache 2.0", "MIT", "a\nb", "x" * 65])
def test_license_is_an_identifier(run: Run, license_id: str) -> None:
    with pytest.raises(UserError, match="expected an identifier such as apache-2"):
        write_card(run, license_id=license_id)
    assert not (run.path / "README.md").exists()


def test_unfinished_run_has_no_card(run: Run) -> None:
    (run.path / "metrics.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        write_card(run)


# --- the command, and the commands in the card


def test_command_writes_where_it_is_asked_to(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    yt8m(monkeypatch, "card", run.path, "--output", tmp_path / "cards" / "tiny.md", "--license", "mit")
    assert capsys.readouterr().out == f"{tmp_path / 'cards' / 'tiny.md'}\n"
    assert "licensed under `mit`" in (tmp_path / "cards" / "tiny.md").read_text()
    assert not (run.path / "README.md").exists()


def test_code_in_the_card_runs(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pull is in test_hub.py."""
    blocks = elements(parse(render_card(run, repo="ada/tiny")), "block_code")
    shell, python = (block["raw"] for block in blocks)
    shutil.copytree(run.path, tmp_path / "runs" / "tiny")
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "validation").symlink_to(run.experiment.data.validation)
    monkeypatch.chdir(tmp_path)
    exec(python, {})  # noqa: S102 - the text of the card
    by_python = (tmp_path / "predictions.csv").read_bytes()
    (tmp_path / "predictions.csv").unlink()
    pull, predict = shell.splitlines()
    assert pull == "yt8m pull ada/tiny runs/tiny"
    yt8m(monkeypatch, *predict.split()[1:])
    assert (tmp_path / "predictions.csv").read_bytes() == by_python
