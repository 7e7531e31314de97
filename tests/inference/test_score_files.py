"""CSV files in Kaggle's format as members of an ensemble. Parquet files: test_ensemble.py."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.support.tiny import CLASSES, tiny_experiment, write_tiny
from yt8m_core.data.dataset import Videos
from yt8m_core.errors import UserError
from yt8m_core.inference import score_files
from yt8m_core.inference.ensemble import Ensemble
from yt8m_core.inference.evaluation import open_run_data, score_batches
from yt8m_core.inference.prediction import predict
from yt8m_core.inference.score_files import ListedScores, open_score_file
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train

HEADER = "VideoId,LabelConfidencePairs"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("tiny")
    return train(tiny_experiment(root, classification=Slot("logistic")), root / "run")


@pytest.fixture(scope="module")
def videos(run: Run) -> Videos:
    return open_run_data(run, run.experiment.data.validation)


def kaggle_file(path: Path, videos: Videos, pairs: Callable[[int], str], header: str = HEADER) -> Path:
    """Write a row for each video, last video first."""
    rows = [f"{videos.id(video)},{pairs(video)}" for video in reversed(range(len(videos)))]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def read_by_hand(path: Path, videos: Videos) -> np.ndarray:
    """Return the scores [N, C] of a file whose ids need no quotes."""
    scores = np.zeros((len(videos), CLASSES))
    for line in path.read_text().splitlines()[1:]:
        video_id, pairs = line.split(",")
        numbers = pairs.split()
        for label, score in zip(numbers[::2], numbers[1::2], strict=True):
            scores[videos.ids.index(video_id), int(label)] = float(score)
    return scores


def score_all(scorer: object, run: Run, videos: Videos) -> np.ndarray:
    ensemble = Ensemble(videos, CLASSES, {"a": scorer}, [1.0])  # type: ignore[dict-item]
    return torch.cat([p for _, p in ensemble.score()]).numpy()


def test_predictions_of_a_run_come_back_as_a_member(run: Run, videos: Videos, tmp_path: Path) -> None:
    predict(run, run.experiment.data.validation, tmp_path / "p.csv")
    scorer = open_score_file(tmp_path / "p.csv", videos, CLASSES)
    assert isinstance(scorer, ListedScores)
    assert scorer.note == ""  # six labels, of which the 20 top labels are all
    expected = torch.cat([p for _, p in score_batches(run.load_model(), videos)]).numpy()
    np.testing.assert_allclose(score_all(scorer, run, videos), expected, rtol=1e-5)


def test_labels_that_a_file_does_not_list_count_0(run: Run, videos: Videos, tmp_path: Path) -> None:
    def pairs(video: int) -> str:
        return f"{video % CLASSES} 0.{video + 10} {(video + 2) % CLASSES} 1e-05"

    other = kaggle_file(tmp_path / "other.csv", videos, pairs)
    ensemble = Ensemble.open([run.path, other], run.experiment.data.validation, weights=[3, 1])
    assert ensemble.notes == [f"member {other} lists 2 labels per video; the other labels count 0"]
    means = torch.cat([p for _, p in ensemble.score()]).numpy()
    p = torch.cat([p for _, p in score_batches(run.load_model(), videos)]).numpy()
    listed = read_by_hand(other, videos)
    assert (listed > 0).sum() == 2 * len(videos)
    np.testing.assert_allclose(means, (3 * p + listed) / 4, rtol=1e-5)


def test_number_of_listed_labels_may_differ_and_be_0(run: Run, videos: Videos, tmp_path: Path) -> None:
    predict(run, run.experiment.data.validation, tmp_path / "p.csv", threshold=0.5)
    scorer = open_score_file(tmp_path / "p.csv", videos, CLASSES)
    assert isinstance(scorer, ListedScores)
    assert re.fullmatch(r"lists [01] to \d labels per video; the other labels count 0", scorer.note)
    np.testing.assert_allclose(score_all(scorer, run, videos), read_by_hand(tmp_path / "p.csv", videos), rtol=1e-6)
    kaggle_file(tmp_path / "none.csv", videos, lambda video: "")
    scorer = open_score_file(tmp_path / "none.csv", videos, CLASSES)
    assert not score_all(scorer, run, videos).any()


@pytest.mark.parametrize(
    "header",
    [
        HEADER,
        "VideoID,LabelConfidencePairs",
        "video_id,label_confidence_pairs",
        "\ufeffVideo Id, Label Confidence Pairs",
    ],
)
def test_names_of_the_columns_may_differ_in_case_and_spaces(
    header: str, run: Run, videos: Videos, tmp_path: Path
) -> None:
    file = kaggle_file(tmp_path / "a.csv", videos, lambda video: "  3 1  0 0.25 ", header)
    scores = score_all(open_score_file(file, videos, CLASSES), run, videos)
    assert (scores == np.array([0.25, 0, 0, 1, 0, 0])).all()


@pytest.mark.fault
@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("6 0.5", "label 6; expected 0 to 5. The file belongs to another edition"),
        ("-1 0.5", "label: found '-1'; expected a whole number"),
        ("1.0 0.5", "label: found '1.0'; expected a whole number"),
        ("1 0.5 1 0.4", "label 1 twice; expected each label once"),
        ("1 0.5 2", "3 numbers; expected pairs of a label and a confidence"),
        ("1 1.5", "label 1: found '1.5'; expected a number from 0 to 1"),
        ("1 -0.5", "label 1: found '-0.5'"),
        ("1 nan", "label 1: found 'nan'"),
        ("1 inf", "label 1: found 'inf'"),
        ("1 0_1", "label 1: found '0_1'"),
        ("1 high", "label 1: found 'high'"),
        ("1 0.5,2", "3 fields; expected VideoId,LabelConfidencePairs"),
        ('"1 0.5" x', "row 8: found .*; expected valid CSV"),
    ],
)
def test_invalid_row_is_refused_with_its_number(pairs: str, message: str, videos: Videos, tmp_path: Path) -> None:
    row = len(videos) - 7  # in row 8: the file has its videos in reverse order, after a header
    file = kaggle_file(tmp_path / "a.csv", videos, lambda video: pairs if video == row else "1 0.5")
    with pytest.raises(UserError, match=message) as error:
        open_score_file(file, videos, CLASSES)
    assert f"{file}, row 8" in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.split("\n", 3)[0] + "\n" + text.split("\n", 3)[3],
            "2 videos that are missing, the first of",
        ),
        (
            lambda text: text + "x,1 0.5\n",
            "row 42, video 'x': a video that is not in the data set. Score",
        ),
        (lambda text: text + text.split("\n")[1] + "\n", r"row 42, video '\d+': found a duplicate; expected one row"),
        (lambda text: "id,labels\n" + text, "row 1: found 'id,labels'; expected VideoId,LabelConfidencePairs"),
        (lambda text: text[len(HEADER) + 1 :], r"row 1: found '\d+,1 0.5'; expected VideoId,LabelConfidencePairs"),
        (lambda text: "", "row 1: found ''; expected VideoId,LabelConfidencePairs"),
    ],
)
def test_file_of_other_videos_or_columns_is_refused(
    change: Callable[[str], str], message: str, videos: Videos, tmp_path: Path
) -> None:
    file = kaggle_file(tmp_path / "a.csv", videos, lambda video: "1 0.5")
    file.write_text(change(file.read_text()))
    with pytest.raises(UserError, match=message):
        open_score_file(file, videos, CLASSES)


@pytest.mark.fault
def test_file_that_cannot_be_read_or_is_too_large_is_refused(
    videos: Videos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"absent\.csv: cannot be read: No such file"):
        open_score_file(tmp_path / "absent.csv", videos, CLASSES)
    (tmp_path / "device.csv").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="a device or a pipe"):
        open_score_file(tmp_path / "device.csv", videos, CLASSES)
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"\n\xe9,1 0.5\n")
    with pytest.raises(UserError, match="bytes that are not UTF-8"):
        open_score_file(tmp_path / "latin.csv", videos, CLASSES)
    file = kaggle_file(tmp_path / "a.csv", videos, lambda video: "1 0.5 2 0.5")
    monkeypatch.setattr(score_files, "MAX_PAIRS", 9)
    with pytest.raises(UserError, match=r"row 6, video '\d+': more than 9 pairs"):
        open_score_file(file, videos, CLASSES)


def listed(values: np.ndarray, mask: np.ndarray | None = None) -> pa.Array:
    """Return scores [N, C] as a column of lists, without those of a mask [N * C]."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1), mask=mask), values.shape[1])


@pytest.mark.fault
@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "score nan"), (1.5, r"score 1\.5"), (-0.1, r"score -0\.1"), (None, "missing scores")],
)
def test_invalid_score_in_a_parquet_file_is_refused(
    value: float | None, message: str, run: Run, videos: Videos, tmp_path: Path
) -> None:
    scores = np.full((len(videos), CLASSES), 0.5, np.float32)
    mask = np.zeros(scores.size, bool)
    if value is None:
        mask[20] = True
    else:
        scores.flat[20] = value
    pq.write_table(pa.table({"id": videos.ids, "scores": listed(scores, mask)}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=rf"a\.parquet, .*found {message}"):
        score_all(open_score_file(tmp_path / "a.parquet", videos, CLASSES), run, videos)


@pytest.mark.fault
def test_parquet_file_with_columns_of_other_types_is_refused(videos: Videos, tmp_path: Path) -> None:
    scores = listed(np.full((len(videos), CLASSES), 0.5, np.float32))
    texts = listed(np.full((len(videos), CLASSES), "a"))
    ids = pa.array([None, *videos.ids[1:]])
    for columns, message in (
        ({"id": videos.ids, "scores": texts}, "found scores of type fixed_size_list"),
        ({"id": ids, "scores": scores}, "found ids that are missing or not text"),
        ({"id": [[video] for video in videos.ids], "scores": scores}, "found ids that are missing or not text"),
        ({"id": list(range(len(videos))), "scores": scores}, "found ids that are missing or not text"),
        ({"video": videos.ids, "scores": scores}, "cannot read the scores of a member"),
    ):
        pq.write_table(pa.table(columns), tmp_path / "a.parquet")
        with pytest.raises(UserError, match=rf"a\.parquet: .*{message}"):
            open_score_file(tmp_path / "a.parquet", videos, CLASSES)
    pq.write_table(pa.table({"id": videos.ids, "scores": scores}), tmp_path / "a.parquet", compression="none")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[4:40] = bytes(36)
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.parquet: cannot read the scores|missing from the data|are missing"):
        open_score_file(tmp_path / "a.parquet", videos, CLASSES)


def test_ids_with_commas_and_quotes_come_back(run: Run, tmp_path: Path) -> None:
    """The whole path: records, ``yt8m predict``, and the file as a member."""
    from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard

    ids = ["a,b", '"', "=1", "-b\n", "c"]
    frames = np.random.default_rng(0).integers(0, 256, (3, 32), np.uint8)
    record = {"rgb": frames[:, :24], "audio": frames[:, 24:]}
    write_shard(tmp_path / "a.tfrecord", [encode_sequence_example({"id": i.encode()}, record) for i in ids])
    predict(run, tmp_path / "a.tfrecord", tmp_path / "p.csv")
    ensemble = Ensemble.open([run.path, tmp_path / "p.csv"], tmp_path / "a.tfrecord")
    comparison = ensemble.compare()
    list(ensemble.score(callback=comparison))
    assert comparison.diversity()["correlation"].tolist() == pytest.approx([1])


def test_unlabeled_videos_of_another_data_set_are_refused(run: Run, tmp_path: Path) -> None:
    test = write_tiny(tmp_path / "test", 9, seed=4, labeled=False)
    predict(run, test, tmp_path / "p.csv")
    with pytest.raises(UserError, match="row 2, video '040000': a video that is not in the data set"):
        Ensemble.open([run.path, tmp_path / "p.csv"], run.experiment.data.validation)
