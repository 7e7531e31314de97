"""Tables are trained as far as they are not, found again wherever they lie, compared, judged and kept."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.tiny import CLASSES, STREAMS, tiny_experiment, write_tiny
from yt8m_core.ablation import ablate, comparison, judge, keep, ledger_of, read_result, stale, turn
from yt8m_core.ablation import results as results_module
from yt8m_core.ablation import runner as trained_module
from yt8m_core.ablation.claims import CANNOT_TELL, FAILS, HOLDS, verdict
from yt8m_core.ablation.demo_sweeps import DIALS, SMALL
from yt8m_core.ablation.recipe import WORDS, Recipe, Source, chosen_scale, recipe, shard_source, source
from yt8m_core.ablation.runner import Ablation, train_missing
from yt8m_core.ablation.significance import Estimate
from yt8m_core.demo import world as demo
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import TABLES, Claim, Row, Table
from yt8m_core.paper_tables.claims import LITTLE
from yt8m_core.progress import silent
from yt8m_core.runs.run import Run
from yt8m_core.workspace import workspace

NAMES = tuple(TABLES)
TRAINING = Training(epochs=2, batch_size=16, learning_rate=0.02)
ROWS = (
    Row("Mean", 0.7, Slot("mean"), Slot("moe")),
    Row("Sum", None, Slot("sum"), Slot("moe"), against="Clustering"),
    Row("Clustering", 0.8, Slot("indirect_clustering"), Slot("moe")),
)
TABLE = Table(
    "A table",
    "Clustering wins.",
    "Mean",
    ROWS,
    ledger=(
        Claim("Clustering wins.", "nowhere", (("Clustering", "Mean"), ("Clustering", "Sum"))),
        Claim("A mean is a mean.", "nowhere", (("Mean", "Mean"),), says="alike"),
    ),
    ensembles={"Both": ("Mean", "Clustering")},
    frames=True,
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Source:
    root = tmp_path_factory.mktemp("tiny")
    tiny_experiment(root)
    found = shard_source("tiny", str(root / "train"), str(root / "validation"))
    return dataclasses.replace(found, data=dataclasses.replace(found.data, streams=STREAMS))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny: Source) -> Iterator[Path]:
    """A workspace in which ``ablate("tiny", scale="demo")`` is a table of three rows and an ensemble on tiny videos."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YT8M_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setitem(TABLES, "tiny", TABLE)
        for module in (trained_module, results_module):
            patch.setattr(module, "recipe", lambda table, scale: Recipe(TRAINING, 1, (0, 1)))
            patch.setattr(module, "source", lambda table, scale: tiny)
        yield workspace()


@pytest.fixture(scope="module")
def ablation(home: Path) -> Ablation:
    return ablate("tiny", scale="demo", progress=silent)


def stamps(home: Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in (home / "ablations").rglob("*")}


def test_every_row_and_ensemble_has_a_run_for_each_seed_and_the_second_call_trains_none(
    home: Path, ablation: Ablation
) -> None:
    assert list(ablation.runs) == ["Mean", "Sum", "Clustering", "Both"]
    assert [len(runs) for runs in ablation.runs.values()] == [2, 2, 2, 2]
    before, told = stamps(home), []
    again = ablate("tiny", scale="demo", progress=lambda what, *_: told.append(what))
    assert stamps(home) == before
    assert told == []
    assert again.runs == ablation.runs


def test_weights_are_left_where_an_ensemble_needs_them_alone(ablation: Ablation) -> None:
    def weighs(row: str) -> list[bool]:
        return [(run.path / "model.safetensors").is_file() for run in ablation.runs[row]]

    assert {row: weighs(row) for row in ablation.runs} == {
        "Mean": [True, True],
        "Sum": [False, False],
        "Clustering": [True, True],
        "Both": [False, False],
    }
    assert not any((run.path / "tensorboard").exists() for runs in ablation.runs.values() for run in runs)


def test_an_ensemble_is_the_mean_of_its_members_probabilities(tiny: Source, ablation: Ablation) -> None:
    from yt8m_core.inference.ensemble import Ensemble

    members = [ablation.runs[row][1].path for row in ("Mean", "Clustering")]
    ((_, mean),) = Ensemble.open(members, tiny.data.validation).score()
    stored = ablation.runs["Both"][1]
    np.testing.assert_allclose(np.stack(stored.predictions["scores"].to_list()), mean.sort(descending=True).values)
    sizes = [Run.open(member).metrics["parameters"] for member in members]
    assert stored.metrics["parameters"] == sum(sizes)


def test_diversity_is_the_mean_over_seeds_of_how_alike_each_pair_of_members_is(
    tiny: Source, ablation: Ablation
) -> None:
    from yt8m_core.inference.ensemble import Ensemble

    expected = []
    for seed in (0, 1):
        members = [ablation.runs[row][seed].path for row in ("Mean", "Clustering")]
        ensemble = Ensemble.open(members, tiny.data.validation)
        compared = ensemble.compare()
        list(ensemble.score(compared))
        expected.append(compared.diversity()[["overlap", "same_best", "correlation"]].to_numpy()[0])
    found = ablation.diversity()
    assert found.iloc[:, :3].to_numpy().tolist() == [["Both", "Mean", "Clustering"]]
    np.testing.assert_allclose(found.iloc[0, 3:].astype(float), np.mean(expected, axis=0))


def test_comparison_says_what_the_runs_came_to(ablation: Ablation) -> None:
    table = comparison(ablation).set_index("row")
    for row, runs in ablation.runs.items():
        # Tied scores apart, what is computed from the stored predictions is what the training measured.
        for column, metric in (("gap", "gap"), ("hit_at_1", "hit_at_1"), ("perr", "perr"), ("map", "map_present")):
            expected = np.mean([run.metrics["validation"][metric] for run in runs])
            assert table.loc[row, column] == pytest.approx(expected, abs=1e-6), (row, column)
    assert table.loc["Mean", ["difference", "difference_low", "difference_high", "reading"]].tolist() == [
        0, 0, 0, "the baseline",
    ]  # fmt: skip
    assert table["against"].tolist() == ["Mean", "Clustering", "Mean", "Mean"]
    assert table.loc["Sum", "difference"] == pytest.approx(table.loc["Sum", "gap"] - table.loc["Clustering", "gap"])
    assert table["paper_gap"].isna().tolist() == [False, True, False, True]
    assert set(table["seeds"]) == {2}
    assert set(table["videos"]) == {40}
    assert set(table["data"]) == {"tiny"}
    assert set(table["scale"]) == {"demo world"}
    assert (table["videos_per_second"] > 0).tolist() == [True, True, True, False]


def test_a_row_whose_other_was_not_trained_has_no_difference_and_its_claim_cannot_be_told(home: Path) -> None:
    some = ablate("tiny", scale="demo", rows=["Sum"], progress=silent)
    assert comparison(some)[["difference", "reading"]].isna().all(axis=None)
    assert judge(some)["verdict"].tolist() == [CANNOT_TELL] * 2
    with pytest.raises(UserError, match=r"unknown row 'Summ'\. Did you mean 'Sum'"):
        ablate("tiny", scale="demo", rows=["Summ"])
    with pytest.raises(UserError, match=r"unknown table 'poling'\. Did you mean 'pooling'"):
        ablate("poling")


def test_claims_are_judged_with_their_evidence(ablation: Ablation) -> None:
    claims = judge(ablation)
    assert claims["verdict"].iloc[1] == HOLDS
    difference = ablation.measured["Clustering"].less(ablation.measured["Mean"])
    assert claims["evidence"].iloc[1] == "Mean − Mean: 0, for both predict the same"
    assert f"Clustering − Mean: {difference.value:+.4f} ({difference.low:+.4f} to" in claims["evidence"].iloc[0]


SURE, UNSURE, AGAINST = Estimate(0.2, 0.1, 0.3), Estimate(0.1, -0.1, 0.3), Estimate(-0.2, -0.3, -0.1)
TINY = LITTLE / 10


@pytest.mark.parametrize(
    ("says", "differences", "expected"),
    [
        ("better", [SURE, SURE], HOLDS),
        ("better", [SURE, UNSURE], CANNOT_TELL),
        ("better", [SURE, UNSURE, AGAINST], FAILS),
        ("worse", [AGAINST], HOLDS),
        ("worse", [SURE], FAILS),
        ("worse", [UNSURE], CANNOT_TELL),
        ("better", [Estimate(0, 0, 0)], CANNOT_TELL),
        ("alike", [Estimate(0, 0, 0)], HOLDS),
        ("alike", [Estimate(TINY, TINY / 2, 2 * TINY)], HOLDS),
        ("alike", [SURE], FAILS),
        ("alike", [AGAINST], FAILS),
        ("alike", [UNSURE], CANNOT_TELL),
        ("alike", [Estimate(LITTLE, LITTLE / 2, 2 * LITTLE)], CANNOT_TELL),
    ],
)
def test_verdict_follows_the_intervals(says: str, differences: list[Estimate], expected: str) -> None:
    assert verdict(says, differences) == expected


def test_claim_says_nothing_else() -> None:
    with pytest.raises(UserError, match="unknown word 'best'"):
        Claim("a", "b", (), says="best")


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_is_about_rows_of_its_table_and_each_row_is_compared_with_one(name: str) -> None:
    table = TABLES[name]
    assert table.ledger
    assert {row for claim in table.ledger for pair in claim.pairs for row in pair} <= set(table.names)
    assert {table.against(row) for row in table.names} <= set(table.names)
    assert table.against(table.baseline) == table.baseline
    assert {member for members in table.ensembles.values() for member in members} <= {row.name for row in table.rows}


def test_result_is_read_as_it_was_written_and_names_its_command(ablation: Ablation, tmp_path: Path) -> None:
    assert read_result("tiny", "demo", tmp_path) is None
    assert ledger_of("demo", tmp_path).empty
    kept = keep(ablation, tmp_path)
    assert (tmp_path / "demo" / "tiny.json").is_file()
    result = read_result("tiny", "demo", tmp_path)
    assert result is not None
    assert {**vars(result), "rows": 0, "claims": 0} == {**vars(kept), "rows": 0, "claims": 0}
    assert result.command == "yt8m ablate tiny --scale demo"
    pd.testing.assert_frame_equal(result.rows, comparison(ablation), check_dtype=False)
    pd.testing.assert_frame_equal(result.claims, judge(ablation), check_dtype=False)
    pd.testing.assert_frame_equal(ledger_of("demo", tmp_path), result.claims)
    assert stale(result) == []


def test_result_is_stale_when_an_experiment_a_member_a_claim_or_the_data_are_others(
    ablation: Ablation, tiny: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(ablation, tmp_path)
    result = read_result("tiny", "demo", tmp_path)
    assert result is not None
    slower = dataclasses.replace(ROWS[0], rate_multiplier=0.5)
    monkeypatch.setitem(TABLES, "tiny", dataclasses.replace(TABLE, rows=(slower, *ROWS[1:])))
    assert stale(result) == ["Row 'Mean' is another experiment.", "Row 'Both' is another experiment."]
    monkeypatch.setitem(TABLES, "tiny", dataclasses.replace(TABLE, rows=ROWS[::2], ledger=TABLE.ledger[:1]))
    assert stale(result) == ["Row 'Sum' is no longer there.", "The claims are others."]
    monkeypatch.setitem(TABLES, "tiny", TABLE)
    monkeypatch.setattr(results_module, "source", lambda *_: dataclasses.replace(tiny, identity="other"))
    assert stale(result) == ["The videos are others."]

    def gone(*_: str) -> Source:
        raise UserError("no data here")

    monkeypatch.setattr(results_module, "source", gone)
    assert stale(result) == []
    monkeypatch.delitem(TABLES, "tiny")
    assert stale(result) == ["There is no table 'tiny' any more."]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "rows": 3, "claims": []}'])
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "pooling.json").write_text(text)
    with pytest.raises(UserError, match=r"pooling\.json: no result .* Make it again: yt8m ablate pooling"):
        read_result("pooling", "demo", tmp_path)


def test_neither_a_smoke_test_nor_a_part_of_a_table_is_kept(ablation: Ablation, tmp_path: Path) -> None:
    assert keep(dataclasses.replace(ablation, scale="smoke"), tmp_path).scale == "smoke"
    with pytest.raises(UserError, match="no row 'Sum'; expected all rows"):
        keep(dataclasses.replace(ablation, runs={"Mean": ablation.runs["Mean"]}), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def experiments(tiny: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Experiment]:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    first = Experiment(tiny.data, training=TRAINING)
    return {"first": first, "second": dataclasses.replace(first, seed=1)}


def test_an_interrupted_call_is_gone_on_with(experiments: dict[str, Experiment], tiny: Source) -> None:
    def stop_in_the_second(what: str, done: int, total: int, note: str = "") -> None:
        if note.startswith("second, epoch 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_missing(experiments, tiny, progress=stop_in_the_second)
    told: list[str] = []
    trained = train_missing(experiments, tiny, progress=lambda what, done, total, note="": told.append(note))
    assert {note.split(",")[0] for note in told if note} == {"second"}
    assert not any("epoch 1 of 2" in note for note in told)  # that one was learned before the interruption
    assert all(run.metrics["validation"]["num_videos"] == 40 for run in trained.values())


def test_what_another_process_trains_meanwhile_is_not_trained_again(
    experiments: dict[str, Experiment], tiny: Source
) -> None:
    second = {"second": experiments["second"]}
    told: list[str] = []

    def train_the_second_elsewhere(what: str, done: int, total: int, note: str = "") -> None:
        told.append(note.split(",")[0])
        if note.startswith("first, epoch 2"):
            train_missing(second, tiny, progress=silent)

    trained = train_missing(experiments, tiny, progress=train_the_second_elsewhere)
    assert {*filter(None, told)} == {"first"}
    assert trained["second"].metrics["validation"]["num_videos"] == 40


def test_the_same_videos_in_another_place_are_the_same_and_other_videos_are_not(
    experiments: dict[str, Experiment], tiny: Source, tmp_path: Path
) -> None:
    for split in ("train", "validation"):
        shutil.copytree(getattr(tiny.data, split), tmp_path / split)
    moved = shard_source("moved", str(tmp_path / "train"), str(tmp_path / "validation"))
    there = dataclasses.replace(experiments["first"], data=dataclasses.replace(moved.data, streams=STREAMS))
    assert moved.digest(there) == tiny.digest(experiments["first"])
    assert tiny.digest(experiments["first"]) != tiny.digest(experiments["second"])
    write_tiny(tmp_path / "train", 30, seed=3)
    assert shard_source("more", moved.data.train, moved.data.validation).identity != moved.identity
    with pytest.raises(UserError, match=r"no \*\.tfrecord"):
        shard_source("none", str(tmp_path), str(tmp_path))


def test_a_run_begun_elsewhere_is_begun_again(experiments: dict[str, Experiment], tiny: Source) -> None:
    folder = workspace() / "ablations" / tiny.digest(experiments["first"])
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{")
    trained = train_missing({"first": experiments["first"]}, tiny, progress=silent)
    assert Run.open(trained["first"].path).experiment == experiments["first"]


def test_weights_that_are_wanted_later_are_trained_again(experiments: dict[str, Experiment], tiny: Source) -> None:
    first = {"first": experiments["first"]}
    before = train_missing(first, tiny, progress=silent)["first"]
    gap = before.metrics["validation"]["gap"]
    after = train_missing(first, tiny, keep={"first"}, progress=silent)["first"]
    assert after == before
    assert (after.path / "model.safetensors").is_file()
    assert after.metrics["validation"]["gap"] == gap
    assert Run.open(after.path).load_model().classification.num_classes == CLASSES


def test_scale_is_the_given_one_or_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YT8M_SCALE", raising=False)
    assert chosen_scale() == "demo"
    monkeypatch.setenv("YT8M_SCALE", "sample")
    assert chosen_scale() == "sample"
    assert chosen_scale("paper") == "paper"
    monkeypatch.setenv("YT8M_SCALE", "samples")
    with pytest.raises(UserError, match=r"YT8M_SCALE: unknown scale 'samples'\. Did you mean 'sample'"):
        chosen_scale()


@pytest.mark.parametrize("scale", WORDS)
@pytest.mark.parametrize("table", NAMES)
def test_every_table_has_a_recipe_at_every_scale_with_three_seeds_where_it_can(table: str, scale: str) -> None:
    how = recipe(table, scale)
    assert len(how.seeds) == (3 if scale == "demo" or (scale == "sample" and TABLES[table].frames) else 1)
    if scale == "paper":
        assert (how.training, how.narrower) == (Training(), 1)


@pytest.mark.parametrize(("scale", "variable"), [("sample", "YT8M_REAL_DATA"), ("paper", "YT8M_PAPER_DATA")])
def test_real_data_that_nobody_named_are_asked_for(scale: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match=f"{variable} is not set"):
        source("loss", scale)


def test_paper_data_are_two_folders_of_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_PAPER_DATA", str(tmp_path))
    for split in ("train", "validate"):
        write_tiny(tmp_path / split, 6, seed=1)
    assert source("pooling", "paper").data == Data(str(tmp_path / "train"), str(tmp_path / "validate"))


@pytest.mark.usefixtures("rates_file")
def test_videos_without_frames_are_pooled_by_mean() -> None:
    loss = TABLES["loss"].rows[0]
    assert recipe("loss", "sample").experiment(loss, 0, Data("a", "b")).pooling == Slot("mean")
    frames_themselves = TABLES["classification"].row("Many-to-Many")
    assert recipe("classification", "sample").experiment(frames_themselves, 0, Data("a", "b")).pooling == Slot("none")
    lstm = TABLES["pooling"].rows[0]
    assert recipe("pooling", "sample").experiment(lstm, 0, Data("a", "b")).pooling.name == "lstm"


@pytest.mark.real_data
@pytest.mark.parametrize(("table", "name"), [("rates", "AudioSet, frames"), ("loss", "YouTube-8M 2018, video level")])
def test_a_sample_is_of_real_records(table: str, name: str, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_REAL_DATA", str(real_data))
    found = source(table, "sample")
    assert found.name == name
    assert found.identity == source(table, "sample").identity != source("pooling_variants", "demo").identity


@pytest.mark.usefixtures("rates_file")
def test_members_of_an_ensemble_are_the_rows_that_the_tables_share() -> None:
    pooling, ensemble = recipe("pooling", "demo"), recipe("ensemble", "demo")
    shared = [row for row in TABLES["pooling"].rows if trained_module._is_a_member(row)]
    assert [row.name for row in shared] == ["LSTM-M", "LSTM-M-O", "LSTM-M-O-LN", "CNN-256"]
    for row in shared:
        assert pooling.digest(row) == ensemble.digest(TABLES["ensemble"].row(row.name))


@pytest.mark.parametrize("name", DIALS)
def test_dial_turns_one_cause_of_the_demo_world_within_its_range(name: str) -> None:
    dial = DIALS[name]
    worlds = [dataclasses.replace(SMALL, **{name: setting}) for setting in dial.settings]
    assert len(set(worlds)) == len(worlds) >= 3
    assert dial.settings[0] <= getattr(demo.World(), name) <= dial.settings[-1]


def test_turning_a_dial_leaves_gains_and_no_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path))
    gains = turn("main_share", scale="smoke", progress=silent)
    assert gains["setting"].tolist() == [0.15, 0.75]
    np.testing.assert_allclose(gains["gain"], gains["gap"] - gains["gap_against"], atol=1e-12)
    assert set(gains["scale"]) == {"smoke test, no result"}
    assert list((tmp_path / "dials").iterdir()) == []
    monkeypatch.setattr(demo, "build", None)  # what stands needs no world
    pd.testing.assert_frame_equal(turn("main_share", scale="smoke", progress=silent), gains)
    with pytest.raises(UserError, match="unknown dial 'noise'"):
        turn("noise")
