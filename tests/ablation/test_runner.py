"""Training, comparing, checking and storing the tables of the paper."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.support.tiny import CLASSES, STREAMS, tiny_experiment, write_tiny
from yt8m_core.ablation import (
    ablate,
    all_claims,
    band_gains,
    check_claims,
    compare_rows,
    outdated,
    read_result,
    result_table,
    results,
    run_sweep,
    runner,
    save_result,
)
from yt8m_core.ablation.claims import CONTRADICTED, INCONCLUSIVE, SUPPORTED, claim_verdict, format_difference
from yt8m_core.ablation.compare import BASELINE
from yt8m_core.ablation.demo_sweeps import SMALL_WORLD, SWEEPS
from yt8m_core.ablation.ensembles import average_runs
from yt8m_core.ablation.recipe import (
    ONE_SEED,
    SCALES,
    Recipe,
    Source,
    chosen_scale,
    shard_source,
    table_recipe,
    table_source,
)
from yt8m_core.ablation.runner import Ablation, StoredRun, train_missing
from yt8m_core.demo import world as demo
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.inference.band_precision import AP_METRICS
from yt8m_core.metrics.bootstrap import Estimate
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import TABLES, Claim, Row, Table
from yt8m_core.paper_tables.claims import SMALL_DIFFERENCE
from yt8m_core.progress import silent
from yt8m_core.runs.run import Run
from yt8m_core.workspace import workspace

NAMES = tuple(TABLES)
TRAINING = Training(epochs=2, batch_size=16, learning_rate=0.02)
ROWS = (
    Row("Mean", 0.7, Slot("mean"), Slot("moe")),
    Row("Sum", None, Slot("sum"), Slot("moe"), reference="Clustering"),
    Row("Clustering", 0.8, Slot("indirect_clustering"), Slot("moe")),
)
TABLE = Table(
    "A table",
    "Clustering wins.",
    "Mean",
    ROWS,
    claims=(
        Claim("Clustering wins.", "nowhere", (("Clustering", "Mean"), ("Clustering", "Sum"))),
        Claim("A mean equals itself.", "nowhere", (("Mean", "Mean"),), expects="similar"),
    ),
    ensembles={"Both": ("Mean", "Clustering")},
    frames=True,
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Source:
    root = tmp_path_factory.mktemp("tiny")
    tiny_experiment(root)
    source = shard_source("tiny", str(root / "train"), str(root / "validation"))
    return dataclasses.replace(source, data=dataclasses.replace(source.data, streams=STREAMS))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny: Source) -> Iterator[Path]:
    """Return a workspace where ``ablate("tiny", scale="demo")`` has three rows and an ensemble on tiny videos."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YT8M_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setitem(TABLES, "tiny", TABLE)
        for module in (runner, results):
            patch.setattr(module, "table_recipe", lambda table, scale: Recipe(TRAINING, 1, (0, 1)))
            patch.setattr(module, "table_source", lambda table, scale: tiny)
        yield workspace()


@pytest.fixture(scope="module")
def ablation(home: Path) -> Ablation:
    return ablate("tiny", scale="demo", progress=silent)


def modification_times(home: Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in (home / "ablations").rglob("*")}


def test_each_row_and_ensemble_has_one_run_per_seed_and_a_second_call_trains_nothing(
    home: Path, ablation: Ablation
) -> None:
    assert list(ablation.runs) == ["Mean", "Sum", "Clustering", "Both"]
    assert [len(runs) for runs in ablation.runs.values()] == [2, 2, 2, 2]
    before, tasks = modification_times(home), []
    again = ablate("tiny", scale="demo", progress=lambda what, *_: tasks.append(what))
    assert modification_times(home) == before
    assert tasks == []
    assert again.runs == ablation.runs


def test_only_ensemble_members_keep_weights(ablation: Ablation) -> None:
    def has_weights(row: str) -> list[bool]:
        return [(run.path / "model.safetensors").is_file() for run in ablation.runs[row]]

    assert {row: has_weights(row) for row in ablation.runs} == {
        "Mean": [True, True],
        "Sum": [False, False],
        "Clustering": [True, True],
        "Both": [False, False],
    }
    assert not any((run.path / "tensorboard").exists() for runs in ablation.runs.values() for run in runs)


def test_ensemble_is_the_mean_of_member_probabilities(tiny: Source, ablation: Ablation) -> None:
    from yt8m_core.inference.ensemble import Ensemble

    members = [ablation.runs[row][1].path for row in ("Mean", "Clustering")]
    ((_, mean),) = Ensemble.open(members, tiny.data.validation).score()
    stored = ablation.runs["Both"][1]
    np.testing.assert_allclose(np.stack(stored.predictions["scores"].to_list()), mean.sort(descending=True).values)
    sizes = [Run.open(member).metrics["parameters"] for member in members]
    assert stored.metrics["parameters"] == sum(sizes)


def test_diversity_is_the_mean_agreement_of_members_over_seeds(tiny: Source, ablation: Ablation) -> None:
    from yt8m_core.inference.ensemble import Ensemble

    expected = []
    for seed in (0, 1):
        members = [ablation.runs[row][seed].path for row in ("Mean", "Clustering")]
        ensemble = Ensemble.open(members, tiny.data.validation)
        compared = ensemble.compare()
        list(ensemble.score(callback=compared))
        expected.append(compared.diversity()[["overlap", "same_best", "correlation"]].to_numpy()[0])
    diversity = ablation.diversity()
    assert diversity.iloc[:, :3].to_numpy().tolist() == [["Both", "Mean", "Clustering"]]
    np.testing.assert_allclose(diversity.iloc[0, 3:].astype(float), np.mean(expected, axis=0))


def test_compare_rows_reports_the_metrics_of_the_runs(ablation: Ablation) -> None:
    table = compare_rows(ablation).set_index("row")
    for row, runs in ablation.runs.items():
        # Except for tied scores, metrics from stored predictions equal those of the training.
        bands = ((name, name) for name in ("ap_head", "ap_mid", "ap_all"))
        for column, metric in (
            ("gap", "gap"), ("hit_at_1", "hit_at_1"), ("perr", "perr"), ("map", "map_present"), *bands
        ):  # fmt: skip
            expected = np.mean([run.metrics["validation"][metric] for run in runs])
            assert table.loc[row, column] == pytest.approx(expected, abs=1e-6), (row, column)
    assert table.loc["Mean", ["difference", "difference_low", "difference_high", "verdict"]].tolist() == [
        0, 0, 0, BASELINE,
    ]  # fmt: skip
    assert table["reference"].tolist() == ["Mean", "Clustering", "Mean", "Mean"]
    assert table.loc["Sum", "difference"] == pytest.approx(table.loc["Sum", "gap"] - table.loc["Clustering", "gap"])
    assert table["paper_gap"].isna().tolist() == [False, True, False, True]
    assert set(table["seeds"]) == {2}
    assert set(table["videos"]) == {40}
    assert set(table["data"]) == {"tiny"}
    assert set(table["scale"]) == {"demo world"}
    assert (table["videos_per_second"] > 0).tolist() == [True, True, True, False]


def test_ensemble_has_the_average_precision_of_its_scores(tiny: Source, ablation: Ablation) -> None:
    from tests.metrics.test_label_precision import reference
    from yt8m_core.inference.ensemble import Ensemble

    members = [ablation.runs[row][0].path for row in ("Mean", "Clustering")]
    ensemble = Ensemble.open(members, tiny.data.validation)
    ((batch, mean),) = ensemble.score()
    stored, first = ablation.runs["Both"][0], Run.open(members[0])
    expected = reference(mean.numpy(), batch.targets(CLASSES).numpy().astype(int))
    np.testing.assert_allclose(stored.label_precision["ap"], expected, atol=1e-12)
    pd.testing.assert_frame_equal(
        stored.label_precision.drop(columns="ap"), first.label_precision.drop(columns="ap"), check_dtype=False
    )
    assert stored.metrics["validation"]["ap_all"] == pytest.approx(np.mean(expected))


def test_runs_of_an_older_version_have_no_average_precision_by_band(
    ablation: Ablation, tiny: Source, tmp_path: Path
) -> None:
    runs = {}
    for row in ("Mean", "Sum"):
        runs[row] = (StoredRun(shutil.copytree(ablation.runs[row][0].path, tmp_path / row)),)
        (tmp_path / row / "label_precision.parquet").unlink()
        file = tmp_path / row / "metrics.json"
        metrics = json.loads(file.read_text())
        metrics["validation"] = {name: x for name, x in metrics["validation"].items() if not name.startswith("ap_")}
        file.write_text(json.dumps(metrics))
        assert Run.open(tmp_path / row).metrics == metrics
    older = dataclasses.replace(ablation, runs=runs)
    assert compare_rows(older)[list(AP_METRICS)].isna().all(axis=None)
    with pytest.raises(UserError, match=r"no average precision by label.*older version; delete its folder"):
        band_gains(older, "Mean")
    members = [tmp_path / "Mean", tmp_path / "Mean2"]
    shutil.copytree(*members)
    average_runs(members, tiny.data.validation, tmp_path / "both")
    assert not (tmp_path / "both" / "label_precision.parquet").exists()
    assert "ap_all" not in StoredRun(tmp_path / "both").metrics["validation"]


def test_band_gains_are_differences_of_seed_means_with_an_interval_over_labels(ablation: Ablation) -> None:
    random = np.random.default_rng(0)
    bands = ["head"] * 2 + ["mid"] * 5 + ["tail"]
    counts = [100, 90, 20, 19, 18, 17, 16, 1]
    ap = {row: random.random((3, 8)) for row in ("Mean", "Sum", "Clustering")}
    ap["Sum"][:, 2:7] = ap["Clustering"][:, 2:7] + 0.1 + 0.01 * random.random((3, 5))  # all labels of a band gain
    for values in ap.values():
        values[:, 4] = np.nan  # a label without positives

    def stored(values: np.ndarray) -> Any:
        table = {"label": range(8), "training_videos": counts, "band": bands, "positives": 1, "ap": values}
        return SimpleNamespace(label_precision=pd.DataFrame(table))

    made = dataclasses.replace(ablation, runs={row: tuple(map(stored, values)) for row, values in ap.items()})
    gains = band_gains(made, "Sum")  # compared with Clustering
    assert list(gains.columns) == ["band", "labels", "gain", "low", "high", "verdict"]
    assert gains["band"].tolist() == ["head", "mid", "tail", "all"]
    assert gains["labels"].tolist() == [2, 4, 1, 7]
    for number, band in enumerate(gains["band"]):
        own = [
            sum(ap["Sum"][:, label]) / 3 - sum(ap["Clustering"][:, label]) / 3
            for label in range(8)
            if label != 4 and band in (bands[label], "all")
        ]
        row = gains.iloc[number]
        assert row["gain"] == pytest.approx(sum(own) / len(own))
        if len(own) == 1:
            assert np.isnan(row["low"])
            assert row["verdict"] == "no significant difference"
            continue
        low, high = stats.t.interval(0.95, len(own) - 1, np.mean(own), stats.sem(own))
        assert (row["low"], row["high"]) == pytest.approx((low, high))
        assert row["verdict"] == ("better" if low > 0 else "worse" if high < 0 else "no significant difference")
    assert gains["verdict"][1] == "better"
    assert band_gains(made, "Mean")["gain"].tolist() == [0, 0, 0, 0]  # its own reference


def test_band_gains_need_the_row_and_its_reference(ablation: Ablation) -> None:
    with pytest.raises(UserError, match=r"unknown row 'Summ'\. Did you mean 'Sum'"):
        band_gains(ablation, "Summ")
    with pytest.raises(UserError, match="reference of Sum: unknown row 'Clustering'"):
        band_gains(dataclasses.replace(ablation, runs={"Sum": ablation.runs["Sum"]}), "Sum")
    assert band_gains(ablation, "Both")["band"].iloc[-1] == "all"


def test_row_without_trained_reference_has_no_difference_and_its_claims_are_inconclusive(home: Path) -> None:
    partial = ablate("tiny", scale="demo", rows=["Sum"], progress=silent)
    assert compare_rows(partial)[["difference", "verdict"]].isna().all(axis=None)
    assert check_claims(partial)["verdict"].tolist() == [INCONCLUSIVE] * 2
    with pytest.raises(UserError, match=r"unknown row 'Summ'\. Did you mean 'Sum'"):
        ablate("tiny", scale="demo", rows=["Summ"])
    with pytest.raises(UserError, match=r"unknown table 'poling'\. Did you mean 'pooling'"):
        ablate("poling")


def test_claims_have_verdicts_and_evidence(ablation: Ablation) -> None:
    claims = check_claims(ablation)
    assert claims["verdict"].iloc[1] == SUPPORTED
    difference = ablation.row_gaps["Clustering"].minus(ablation.row_gaps["Mean"])
    assert claims["evidence"].iloc[1] == ["Mean vs. Mean: 0 (identical predictions)"]
    first, second = claims["evidence"].iloc[0]
    assert first == f"Clustering vs. Mean: {format_difference(difference)}"
    assert second.startswith("Clustering vs. Sum: ")


POSITIVE, OPEN, NEGATIVE = Estimate(0.2, 0.1, 0.3), Estimate(0.1, -0.1, 0.3), Estimate(-0.2, -0.3, -0.1)
TINY = SMALL_DIFFERENCE / 10


@pytest.mark.parametrize(
    ("expects", "differences", "expected"),
    [
        ("better", [POSITIVE, POSITIVE], SUPPORTED),
        ("better", [POSITIVE, OPEN], INCONCLUSIVE),
        ("better", [POSITIVE, OPEN, NEGATIVE], CONTRADICTED),
        ("worse", [NEGATIVE], SUPPORTED),
        ("worse", [POSITIVE], CONTRADICTED),
        ("worse", [OPEN], INCONCLUSIVE),
        ("better", [Estimate(0, 0, 0)], INCONCLUSIVE),
        ("similar", [Estimate(0, 0, 0)], SUPPORTED),
        ("similar", [Estimate(TINY, TINY / 2, 2 * TINY)], SUPPORTED),
        ("similar", [POSITIVE], CONTRADICTED),
        ("similar", [NEGATIVE], CONTRADICTED),
        ("similar", [OPEN], INCONCLUSIVE),
        ("similar", [Estimate(SMALL_DIFFERENCE, SMALL_DIFFERENCE / 2, 2 * SMALL_DIFFERENCE)], INCONCLUSIVE),
    ],
)
def test_claim_verdict_follows_the_intervals(expects: str, differences: list[Estimate], expected: str) -> None:
    assert claim_verdict(expects, differences) == expected


def test_claim_rejects_other_expectations() -> None:
    with pytest.raises(UserError, match="unknown expectation 'best'"):
        Claim("a", "b", (), expects="best")


@pytest.mark.parametrize("name", NAMES)
def test_claims_and_references_name_rows_of_their_table(name: str) -> None:
    table = TABLES[name]
    assert bool(table.claims) == bool(table.conclusion)  # claims are the paper's
    assert {row for claim in table.claims for pair in claim.pairs for row in pair} <= set(table.names)
    assert {table.reference(row) for row in table.names} <= set(table.names)
    assert table.reference(table.baseline) == table.baseline
    assert {member for members in table.ensembles.values() for member in members} <= {row.name for row in table.rows}


def test_result_survives_writing_and_reading(ablation: Ablation, tmp_path: Path) -> None:
    assert read_result("tiny", "demo", tmp_path) is None
    assert all_claims("demo", tmp_path).empty
    saved = save_result(ablation, tmp_path)
    assert (tmp_path / "demo" / "tiny.json").is_file()
    result = read_result("tiny", "demo", tmp_path)
    assert result is not None
    frames = dict.fromkeys(("rows", "claims", "bands"))
    assert {**vars(result), **frames} == {**vars(saved), **frames}
    pd.testing.assert_frame_equal(result.bands, saved.bands)
    assert set(result.bands["row"]) == {"Sum", "Clustering", "Both"}
    assert result.command == "yt8m ablate tiny --scale demo"
    pd.testing.assert_frame_equal(result.rows, compare_rows(ablation), check_dtype=False)
    pd.testing.assert_frame_equal(result.claims, check_claims(ablation), check_dtype=False)
    pd.testing.assert_frame_equal(all_claims("demo", tmp_path), result.claims)
    assert outdated(result) == []


def test_result_of_an_older_version_has_no_average_precision_by_band(ablation: Ablation, tmp_path: Path) -> None:
    save_result(ablation, tmp_path)
    file = tmp_path / "demo" / "tiny.json"
    values = json.loads(file.read_text())
    assert all(row["ap_all"] > 0 for row in values["rows"])
    result = read_result("tiny", "demo", tmp_path)
    assert result is not None
    assert "AP, all" in result_table(result.rows)
    for row in values["rows"]:
        for name in AP_METRICS:
            del row[name]
    file.write_text(json.dumps(values))
    result = read_result("tiny", "demo", tmp_path)
    assert result is not None
    assert result.rows[list(AP_METRICS)].isna().all(axis=None)
    assert all(result.rows[name].dtype == np.float64 for name in AP_METRICS)
    text = result_table(result.rows)
    assert "AP" not in text.replace("mAP", "").replace("GAP", "")
    assert "| Hit@1 | PERR | mAP | seeds |" in text


def test_result_is_outdated_if_an_experiment_a_member_a_claim_or_the_data_changed(
    ablation: Ablation, tiny: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_result(ablation, tmp_path)
    result = read_result("tiny", "demo", tmp_path)
    assert result is not None
    slower = dataclasses.replace(ROWS[0], rate_multiplier=0.5)
    monkeypatch.setitem(TABLES, "tiny", dataclasses.replace(TABLE, rows=(slower, *ROWS[1:])))
    assert outdated(result) == ["Row 'Mean' is another experiment.", "Row 'Both' is another experiment."]
    monkeypatch.setitem(TABLES, "tiny", dataclasses.replace(TABLE, rows=ROWS[::2], claims=TABLE.claims[:1]))
    assert outdated(result) == ["Row 'Sum' no longer exists.", "The claims changed."]
    monkeypatch.setitem(TABLES, "tiny", TABLE)
    monkeypatch.setattr(results, "table_source", lambda *_: dataclasses.replace(tiny, identity="other"))
    assert outdated(result) == ["The videos changed."]

    def missing_data(*_: str) -> Source:
        raise UserError("no data here")

    monkeypatch.setattr(results, "table_source", missing_data)
    assert outdated(result) == []
    monkeypatch.delitem(TABLES, "tiny")
    assert outdated(result) == ["Table 'tiny' no longer exists."]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1}', '{"format": 2}', '{"format": 2, "rows": 3, "claims": []}']
)
def test_invalid_result_file_is_rejected(tmp_path: Path, text: str) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "pooling.json").write_text(text)
    with pytest.raises(UserError, match=r"pooling\.json: not a result file .* Make it again: yt8m ablate pooling"):
        read_result("pooling", "demo", tmp_path)


def test_result_file_of_an_older_format_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "pooling.json").write_text('{"format": 1, "rows": [], "claims": []}')
    with pytest.raises(UserError, match=r"not a result file \(format 1, expected 2\)"):
        read_result("pooling", "demo", tmp_path)


def test_smoke_tests_and_partial_tables_are_not_stored(ablation: Ablation, tmp_path: Path) -> None:
    assert save_result(dataclasses.replace(ablation, scale="smoke"), tmp_path).scale == "smoke"
    with pytest.raises(UserError, match="no row 'Sum'; expected all rows"):
        save_result(dataclasses.replace(ablation, runs={"Mean": ablation.runs["Mean"]}), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def experiments(tiny: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Experiment]:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    first = Experiment(tiny.data, training=TRAINING)
    return {"first": first, "second": dataclasses.replace(first, seed=1)}


def test_interrupted_training_resumes(experiments: dict[str, Experiment], tiny: Source) -> None:
    def interrupt_second_run(what: str, done: int, total: int, note: str = "") -> None:
        if note.startswith("second, epoch 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_missing(experiments, tiny, progress=interrupt_second_run)
    notes: list[str] = []
    trained = train_missing(experiments, tiny, progress=lambda what, done, total, note="": notes.append(note))
    assert {note.split(",")[0] for note in notes if note} == {"second"}
    assert not any("epoch 1 of 2" in note for note in notes)  # finished before the interruption
    assert all(run.metrics["validation"]["num_videos"] == 40 for run in trained.values())


def test_run_trained_by_another_process_is_not_trained_again(experiments: dict[str, Experiment], tiny: Source) -> None:
    second = {"second": experiments["second"]}
    notes: list[str] = []

    def train_second_run_elsewhere(what: str, done: int, total: int, note: str = "") -> None:
        notes.append(note.split(",")[0])
        if note.startswith("first, epoch 2"):
            train_missing(second, tiny, progress=silent)

    trained = train_missing(experiments, tiny, progress=train_second_run_elsewhere)
    assert {*filter(None, notes)} == {"first"}
    assert trained["second"].metrics["validation"]["num_videos"] == 40


def test_digest_depends_on_the_videos_and_not_on_their_location(
    experiments: dict[str, Experiment], tiny: Source, tmp_path: Path
) -> None:
    for split in ("train", "validation"):
        shutil.copytree(getattr(tiny.data, split), tmp_path / split)
    moved = shard_source("moved", str(tmp_path / "train"), str(tmp_path / "validation"))
    moved_experiment = dataclasses.replace(experiments["first"], data=dataclasses.replace(moved.data, streams=STREAMS))
    assert moved.digest(moved_experiment) == tiny.digest(experiments["first"])
    assert tiny.digest(experiments["first"]) != tiny.digest(experiments["second"])
    write_tiny(tmp_path / "train", 30, seed=3)
    assert shard_source("more", moved.data.train, moved.data.validation).identity != moved.identity
    with pytest.raises(UserError, match=r"no \*\.tfrecord"):
        shard_source("none", str(tmp_path), str(tmp_path))


def test_unreadable_run_folder_is_trained_again(experiments: dict[str, Experiment], tiny: Source) -> None:
    folder = workspace() / "ablations" / tiny.digest(experiments["first"])
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{")
    trained = train_missing({"first": experiments["first"]}, tiny, progress=silent)
    assert Run.open(trained["first"].path).experiment == experiments["first"]


def test_run_is_trained_again_if_its_weights_are_needed(experiments: dict[str, Experiment], tiny: Source) -> None:
    first = {"first": experiments["first"]}
    before = train_missing(first, tiny, progress=silent)["first"]
    gap = before.metrics["validation"]["gap"]
    after = train_missing(first, tiny, keep_weights={"first"}, progress=silent)["first"]
    assert after == before
    assert (after.path / "model.safetensors").is_file()
    assert after.metrics["validation"]["gap"] == gap
    assert Run.open(after.path).load_model().classification.num_classes == CLASSES


@pytest.mark.fault
def test_files_that_a_killed_process_did_not_remove_are_removed(
    experiments: dict[str, Experiment], tiny: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(runner, "_remove_unused", lambda *_, **__: None)
        before = train_missing({"first": experiments["first"]}, tiny, progress=silent)["first"]
    (before.path / "checkpoint.safetensors").touch()
    assert (before.path / "model.safetensors").exists()
    predictions = (before.path / "predictions.parquet").stat()
    train_missing({"first": experiments["first"]}, tiny, progress=silent)
    assert (before.path / "predictions.parquet").stat() == predictions
    left = {path.name for path in before.path.iterdir()}
    assert not left & {"model.safetensors", "checkpoint.safetensors", "tensorboard"}


def test_scale_is_the_argument_or_the_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YT8M_SCALE", raising=False)
    assert chosen_scale() == "demo"
    monkeypatch.setenv("YT8M_SCALE", "sample")
    assert chosen_scale() == "sample"
    assert chosen_scale("paper") == "paper"
    monkeypatch.setenv("YT8M_SCALE", "samples")
    with pytest.raises(UserError, match=r"YT8M_SCALE: unknown scale 'samples'\. Did you mean 'sample'"):
        chosen_scale()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("table", NAMES)
def test_every_table_has_a_recipe_at_every_scale(table: str, scale: str) -> None:
    recipe = table_recipe(table, scale)
    assert len(recipe.seeds) == (3 if scale in ("demo", "sample") and (table, scale) not in ONE_SEED else 1)
    if scale == "paper":
        assert (recipe.training, recipe.width_divisor) == (Training(), 1)


@pytest.mark.parametrize(("scale", "variable"), [("sample", "YT8M_REAL_DATA"), ("paper", "YT8M_PAPER_DATA")])
def test_missing_data_variable_is_an_error(scale: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match=f"{variable} is not set"):
        table_source("loss", scale)


def test_paper_data_have_two_folders_of_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_PAPER_DATA", str(tmp_path))
    for split in ("train", "validate"):
        write_tiny(tmp_path / split, 6, seed=1)
    assert table_source("pooling", "paper").data == Data(str(tmp_path / "train"), str(tmp_path / "validate"))


@pytest.mark.usefixtures("rates_file")
def test_video_level_data_use_mean_pooling() -> None:
    loss = TABLES["loss"].rows[0]
    assert table_recipe("loss", "sample").experiment(loss, 0, Data("a", "b")).pooling == Slot("mean")
    many_to_many = TABLES["classification"].row("Many-to-Many")
    assert table_recipe("classification", "sample").experiment(many_to_many, 0, Data("a", "b")).pooling == Slot("none")
    lstm = TABLES["pooling"].rows[0]
    assert table_recipe("pooling", "sample").experiment(lstm, 0, Data("a", "b")).pooling.name == "lstm"


@pytest.mark.real_data
@pytest.mark.parametrize(("table", "name"), [("rates", "AudioSet, frames"), ("loss", "YouTube-8M 2018, video level")])
def test_sample_uses_real_records(table: str, name: str, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_REAL_DATA", str(real_data))
    source = table_source(table, "sample")
    assert source.name == name
    assert source.identity == table_source(table, "sample").identity
    assert source.identity != table_source("pooling_variants", "demo").identity


@pytest.mark.usefixtures("rates_file")
def test_ensemble_members_are_shared_between_tables() -> None:
    pooling, ensemble = table_recipe("pooling", "demo"), table_recipe("ensemble", "demo")
    shared = [row for row in TABLES["pooling"].rows if runner._is_member(row)]
    assert [row.name for row in shared] == ["LSTM-M", "LSTM-M-O", "LSTM-M-O-LN", "CNN-256"]
    for row in shared:
        assert pooling.digest(row) == ensemble.digest(TABLES["ensemble"].row(row.name))


@pytest.mark.parametrize("name", SWEEPS)
def test_sweep_values_include_the_range_around_the_default(name: str) -> None:
    sweep = SWEEPS[name]
    worlds = [dataclasses.replace(SMALL_WORLD, **{sweep.field: value}) for value in sweep.values]
    assert len(set(worlds)) == len(worlds) >= 3
    assert sweep.values[0] <= getattr(demo.World(), sweep.field) <= sweep.values[-1]


def test_sweep_returns_gains_and_removes_its_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path))
    gains = run_sweep("main_share", scale="smoke", progress=silent)
    assert gains["value"].tolist() == [0.15, 0.75]
    np.testing.assert_allclose(gains["gain"], gains["gap"] - gains["reference_gap"], atol=1e-12)
    assert set(gains["scale"]) == {"smoke test, no result"}
    assert list((tmp_path / "sweeps").iterdir()) == []
    monkeypatch.setattr(demo, "build", None)  # stored runs need no world
    pd.testing.assert_frame_equal(run_sweep("main_share", scale="smoke", progress=silent), gains)
    with pytest.raises(UserError, match="unknown sweep 'noise'"):
        run_sweep("noise")
