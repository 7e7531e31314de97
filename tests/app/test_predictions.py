"""Tests of the predictions page, for videos of the data set and uploaded files."""

import json
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from streamlit.testing.v1 import AppTest

from tests.app.conftest import CopyRun
from tests.data.test_upload_mediapipe import features_pb
from tests.support.pages import (
    ATTENTION_RUN,
    FILTER_KEYS,
    MEAN_RUN,
    Controls,
    changes_page,
    charts,
    control_keys,
    error_text,
    find_button,
    first_video,
    npy,
    npz,
    open_page,
    page_text,
    select_last,
    set_value,
    video_id_at,
)
from yt8m_core.analysis.per_label import true_ranks
from yt8m_core.analysis.per_video import video_difficulty, video_outcomes
from yt8m_core.analysis.thresholds import threshold_counts
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.quantization import dequantize
from yt8m_core.data.vocabulary import read_vocabulary
from yt8m_core.inference.evaluation import open_run_data
from yt8m_core.inference.score_cache import CachedScores, load_scores
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train

PAGE = "predictions"

CONTROLS: Controls = {
    "run": select_last("run"),
    "data": select_last("data"),
    "video": select_last("video"),
    "label": select_last("label"),
    "from": set_value("from", "my file"),
    "order": set_value("order", "hardest first"),
    "only": set_value("only", ["false negative"]),
    "threshold": set_value("threshold", 0.05),
    "over": set_value("over", "this label"),
    "runs": set_value("runs", [MEAN_RUN]),
    "Previous": lambda at: find_button(at, "Previous").click(),
    "Next": lambda at: find_button(at, "Next").click(),
    "Random": lambda at: find_button(at, "Random").click(),
    "Best F1": lambda at: at.button(key="best threshold").click(),
}


def run_scores(home: Path, name: str = ATTENTION_RUN) -> CachedScores:
    """Return the scores of a demo run on its validation data."""
    run = Run.open(home / "runs" / name)
    return load_scores(run, open_run_data(run, run.experiment.data.validation))


def outcome_table(at: AppTest) -> pd.DataFrame:
    """Return the table of the video's labels."""
    return next(table.value for table in at.dataframe if "outcome" in table.value)


def top_outcomes(at: AppTest) -> pd.DataFrame:
    """Return the top 20 rows of the table of outcomes."""
    table = outcome_table(at)
    return table[table["rank"] <= 20]


def label_option(home: Path, label: int) -> str:
    """Return the option of a label in the select box."""
    vocabulary = read_vocabulary(home / "smoke" / "vocabulary.csv")
    return f"{vocabulary.name(label)} · {label}"


def open_label(home: Path, label: int, **query: str | list[str]) -> AppTest:
    """Open the page with a label selected. AppTest applies the value of a select box on the second run only."""
    return open_page("predictions", label=label_option(home, label), **query).run()


def test_top_labels_and_false_negatives_are_listed(demo_home: Path) -> None:
    _, _, labels = first_video(demo_home)
    at = open_page("predictions", threshold="0.9")
    best = top_outcomes(at)
    assert len(best) == 20
    assert best["probability"].is_monotonic_decreasing
    assert best["rank"].tolist() == list(range(1, 21))
    found = int(best["true"].sum())
    assert f"**{found} of {len(labels)}** true labels are in the top 20" in page_text(at)
    table = at.dataframe[0].value
    assert set(table["label"][table["true"]]) == set(labels)
    assert (table["outcome"] == "✗ false negative").sum() == len(labels) - found


def test_outcomes_follow_the_threshold(demo_home: Path) -> None:
    _, _, labels = first_video(demo_home)
    p = run_scores(demo_home).probabilities[0]
    threshold = round(float(np.sort(p)[-3]) - 0.01, 2)  # at least three labels
    table = open_page("predictions", threshold=str(threshold)).dataframe[0].value
    above = set(np.flatnonzero(p >= np.float32(threshold)).tolist())
    assert len(above) >= 3
    assert set(table["label"][table["outcome"] == "✓ true positive"]) == above & set(labels)
    assert set(table["label"][table["outcome"] == "✗ false positive"]) == above - set(labels)


def test_metrics_cover_all_labels_or_one(demo_home: Path) -> None:
    counts = threshold_counts(run_scores(demo_home))
    at = open_page("predictions", threshold="0.03")
    for label in (None, 2):
        if label is not None:
            at.selectbox(key="label").select(label_option(demo_home, label)).run()
            set_value("over", "this label")(at).run()
        here = counts.at(0.03, label)
        shown = {metric.label: metric.value for metric in at.metric}
        for name, value in (("Precision", here.precision), ("Recall", here.recall), ("F1", here.f1)):
            assert shown[name] == (f"{value:.3f}" if value == value else "–")
        assert f"{here.predicted:,} predicted, {here.hits:,} of them true; {here.positives:,} true" in page_text(at)


def test_button_sets_the_threshold_with_the_best_f1(demo_home: Path) -> None:
    curve = threshold_counts(run_scores(demo_home)).curve()
    at = open_page("predictions")
    at.button(key="best threshold").click().run()
    assert at.slider(key="threshold").value == curve["threshold"][curve["f1"].idxmax()]


def test_next_visits_videos_by_difficulty(demo_home: Path) -> None:
    table = video_difficulty(run_scores(demo_home))
    at = open_page("predictions")
    set_value("order", "hardest first")(at).run()
    seen = [at.selectbox(key="video").value]
    for _ in range(2):
        find_button(at, "Next").click().run()
        seen.append(at.selectbox(key="video").value)
    ap = dict(zip((video_id_at(demo_home, video) for video in table["video"]), table["ap"], strict=True))
    assert [ap[video] for video in seen] == sorted(table["ap"])[:3]
    assert "Video 3 of 32 selected by the filters" in page_text(at)
    set_value("order", "easiest first")(at).run()
    assert ap[at.selectbox(key="video").value] == table["ap"].max()
    find_button(at, "Previous").click().run()  # wraps around
    assert ap[at.selectbox(key="video").value] == table["ap"].min()


@pytest.mark.fault
def test_filters_in_old_and_new_links_select_the_same_videos(demo_home: Path) -> None:
    scores = run_scores(demo_home)
    outcomes = video_outcomes(scores, true_ranks(scores), video_difficulty(scores), 0.03)
    label = int(scores.truth.indices[0])
    has_label = scores.truth[:, [label]].toarray().ravel() > 0
    fn = outcomes["false_negatives"] > 0
    for query, expected in (
        ({"only": ["false negative"]}, fn),
        ({"only": ["false positive"]}, outcomes["false_positives"] > 0),
        ({"has": "true"}, has_label),
        ({"only": ["false negative"], "has": "true"}, fn & has_label),
        ({"only": ["selected label"]}, has_label),
        ({"only": ["false negative", "selected label"]}, fn & has_label),
        ({"only": ["a miss", "the chosen label"]}, fn & has_label),
    ):
        at = open_label(demo_home, label, **query, threshold="0.03")
        assert error_text(at) == ""
        count, text = expected.sum(), page_text(at)
        if count:
            assert f"of the {count:,} videos selected" in text or f"of {count:,} selected by" in text
        else:
            assert "No video matches" in text


def test_filters_without_match_or_label_are_explained() -> None:
    at = open_page("predictions", only=["false positive"], threshold="1.0")
    assert "No video matches the filters. Previous and Next visit all videos." in page_text(at)
    assert charts(at)
    for query in ({"only": ["selected label"]}, {"has": "missed"}):
        assert "No label is selected" in page_text(open_page("predictions", **query))


def test_selected_label_shows_whether_it_is_true(demo_home: Path) -> None:
    vocabulary = read_vocabulary(demo_home / "smoke" / "vocabulary.csv")
    video, _, true = first_video(demo_home)
    false = next(label for label in range(vocabulary.num_classes) if label not in true)
    at = open_page("predictions")
    assert at.selectbox(key="video").value == video
    for label, truth in ((true[0], "true label"), (false, "not a true label")):
        at.selectbox(key="label").select(f"{vocabulary.name(label)} · {label}").run()
        (sentence,) = [
            line for line in page_text(at).splitlines() if line.startswith(f"**{vocabulary.name(label)}**: rank")
        ]
        assert re.fullmatch(rf".*: rank \d+ of 120, probability 0\.\d{{4}}; {truth}\.", sentence)


def test_explanation_follows_the_label_through_the_slots(demo_home: Path) -> None:
    _, frames, _ = first_video(demo_home)
    p = run_scores(demo_home).probabilities[0]
    at = open_label(demo_home, 4)
    values = {metric.label: metric.value for metric in at.metric}
    assert values["2. moe"] == values["3. identity"] == f"{p[4]:.4f}"
    assert values["1. Pooling"] == f"{len(frames)} → 1"
    everything = " ".join(charts(at)).replace(r"\u003cbr\u003e", " ")
    name = label_option(demo_home, 4).split(" · ")[0]
    for title in (f"Contribution of each second to {name}", f"Experts of {name}", "true main scene"):
        assert title in everything
    assert "not what is visible in that second" in page_text(at)


def test_explanation_shows_the_effect_of_label_processing(demo_home: Path, tmp_path: Path, monkeypatch: Any) -> None:
    before = Run.open(demo_home / "runs" / MEAN_RUN)
    experiment = replace(before.experiment, label_processing=Slot("correlation", {"beta": 0.3, "space": "prob"}))
    train(experiment, tmp_path / "mine")
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    at = open_label(demo_home, 2, run="mine")
    assert error_text(at) == ""
    values = {metric.label: float(metric.value) for metric in at.metric if metric.label[0] in "23"}
    added = re.search(r"the other labels add \+(0\.\d{4}) to the probability", page_text(at))
    assert added
    assert values["3. correlation"] - values["2. mlp"] == pytest.approx(float(added[1]), abs=2e-4)
    assert "Contribution of other labels to" in " ".join(charts(at))


def test_runs_are_compared_and_their_mean_is_the_ensemble(demo_home: Path) -> None:
    at = open_page("predictions", runs=[MEAN_RUN])
    one, other = run_scores(demo_home).probabilities[0], run_scores(demo_home, MEAN_RUN).probabilities[0]
    table = next(table.value for table in at.dataframe if "mean" in table.value)
    mean = (one + other) / 2
    assert len(table) == 20
    assert table["label"].tolist()[:5] == np.argsort(-mean, kind="stable")[:5].tolist()
    np.testing.assert_allclose(table["mean"], np.sort(mean)[::-1][:20], atol=1e-5)
    most_different = int(np.abs(one - other).argmax())
    name = label_option(demo_home, most_different).split(" · ")[0]
    assert f"Largest difference: **{name}**" in page_text(at)
    assert f"Predictions of 2 runs for video {video_id_at(demo_home, 0)}" in charts(at)[-1]


def upload_file(name: str, content: bytes, **query: str) -> AppTest:
    at = open_page("predictions", **{"from": "my file", **query})
    at.file_uploader(key="upload").upload(name, content).run()
    return at


def test_upload_of_a_data_set_video_has_the_same_predictions(demo_home: Path) -> None:
    video_id, frames, labels = first_video(demo_home)
    at = upload_file("mine.npz", npz(rgb=frames[:, :1024], audio=frames[:, 1024:], labels=labels, id=video_id))
    assert error_text(at) == ""
    assert "your file" in charts(at)[0]
    assert outcome_table(at).equals(outcome_table(open_page("predictions")))


def test_example_file_can_be_uploaded(demo_home: Path) -> None:
    from cache import loaders as state

    example = state.example_file(open_videos(demo_home / "smoke" / "validation"), 2)
    at = upload_file("example.npz", example)
    assert error_text(at) == ""
    assert not at.warning
    assert outcome_table(at).equals(outcome_table(open_page("predictions", video=video_id_at(demo_home, 2))))


def test_features_are_compared_with_the_training_features(demo_home: Path) -> None:
    _, frames, _ = first_video(demo_home)
    at = upload_file("mine.npy", npy(frames))
    (verdict,) = at.success
    assert "These look like the features of the training data of run smoke" in verdict.value
    assert "Feature checks" in [expander.label for expander in at.expander]
    at = upload_file("mine.npy", npy(frames.astype(np.float32)))  # quantized bytes stored as floats
    (verdict,) = at.error
    assert "These do not look like the features" in verdict.value
    checks = next(table.value for table in at.dataframe if "check" in table.value)
    assert {"rgb", "audio"} == set(checks["stream"])
    assert "✗ wrong" in set(checks["grade"])
    assert charts(at)  # predictions are still shown


def test_features_are_not_checked_without_training_data(
    demo_home: Path, copy_run: CopyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, frames, _ = first_video(demo_home)
    file = copy_run("mine", MEAN_RUN) / "config.json"
    config = json.loads(file.read_text())
    config["experiment"]["data"]["train"] = str(tmp_path / "gone")
    file.write_text(json.dumps(config))
    at = upload_file("mine.npy", npy(frames), run="mine")
    # The streams are named as in YouTube-8M, so the built-in profile applies; demo features differ from it.
    assert "the features of YouTube-8M" in " ".join(box.value for box in (*at.error, *at.warning, *at.success)).replace(
        "\\", ""
    )
    monkeypatch.setattr("cache.scores.feature_check", lambda *arguments: None)
    at = upload_file("mine.npy", npy(frames), run="mine")
    assert "are not checked" in page_text(at)


def test_mediapipe_features_are_read(demo_home: Path) -> None:
    _, frames, _ = first_video(demo_home)
    values = dequantize(torch.tensor(frames)).numpy()
    at = upload_file("features.pb", features_pb(values[:, :1024], values[:, 1024:]))
    assert "your file" in charts(at)[0]
    assert outcome_table(at)["label"].tolist()[:3] == outcome_table(open_page("predictions"))["label"].tolist()[:3]


def test_file_of_several_videos_has_a_picker(demo_home: Path) -> None:
    shard = next((demo_home / "smoke" / "validation").glob("*.tfrecord"))
    at = upload_file("mine.tfrecord", shard.read_bytes())
    assert error_text(at) == ""
    before = charts(at)
    select_last("video_of_file")(at).run()
    assert charts(at) != before


def test_notes_about_a_file_are_shown(demo_home: Path) -> None:
    _, frames, _ = first_video(demo_home)
    at = upload_file("mine.npy", npy(frames[:, :1024]))
    assert "has no 'audio'" in page_text(at)
    assert "true labels of this video are unknown" in page_text(at)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("random.npz", np.random.default_rng(0).bytes(5000)),
        ("random.tfrecord", np.random.default_rng(1).bytes(5000)),
        ("pickle.npz", pickle.dumps({"rgb": [1, 2, 3]})),
        ("objects.npy", npy(np.array([{"rgb": 1}], dtype=object))),
        ("empty.npz", b""),
        ("names.npz", npz(**{"**bold** [link](http://localhost)": np.zeros(3)})),
        ("wide.npy", npy(np.zeros((4, 7), np.uint8))),
        ("big.npy", bytes(21 << 20)),
    ],
)
def test_invalid_file_is_rejected_with_a_message(name: str, content: bytes) -> None:
    at = upload_file(name, content)
    assert error_text(at).startswith(name)
    assert not charts(at)
    if name == "names.npz":
        assert r"\*\*bold\*\* \[link\]" in at.error[0].value


def test_real_video_is_predicted_by_a_run_with_other_labels(real_data: Path) -> None:
    at = upload_file("SjJ3.npz", (real_data / "frame-level" / "SjJ3.npz").read_bytes())
    assert error_text(at) == ""
    assert "different label sets: the run has the 120 synthetic labels of the demo world" in page_text(at)
    assert "with labels 11, is not a demo video" in page_text(at)
    assert "true labels of this video are unknown" in page_text(at)
    assert "video SjJ3" in charts(at)[0]
    assert len(top_outcomes(at)) == 20


def test_labels_unknown_to_the_run_are_reported(demo_home: Path) -> None:
    _, frames, _ = first_video(demo_home)
    at = upload_file("mine.npz", npz(rgb=frames[:, :1024], audio=frames[:, 1024:], labels=np.array([11, 3861])))
    assert error_text(at) == ""
    assert "different label sets: the file has 11, 3861, and the run has 0 to 119" in page_text(at)
    assert "true labels of this video are unknown" in page_text(at)
    assert len(top_outcomes(at)) == 20


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_what_is_shown(control: str) -> None:
    assert changes_page(PAGE, CONTROLS[control])


def test_all_controls_are_tested() -> None:
    assert control_keys(open_page(PAGE)) <= set(CONTROLS) | FILTER_KEYS
