"""One learning rate per architecture, found by the same search on videos that no table evaluates on."""

import dataclasses
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core.ablation import learning_rate_search, learning_rates
from yt8m_core.ablation.demo_sweeps import SWEEPS
from yt8m_core.ablation.learning_rate_search import format_gaps, search_rates, searched_rows
from yt8m_core.ablation.learning_rates import (
    FIRST_RATES,
    FIRST_RATES_VIDEO,
    RATES,
    GapByRate,
    GapsByRow,
    choose_rate,
    next_rate,
    rate_for,
    read_rates,
    write_rates,
)
from yt8m_core.ablation.recipe import (
    FIXED_RATES,
    SEARCH_SEED,
    Recipe,
    search_recipe,
    search_setting,
    search_source,
    shard_source,
    table_recipe,
    table_source,
)
from yt8m_core.data.shards import find_shards
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Training
from yt8m_core.paper_tables import TABLES
from yt8m_core.progress import silent

MOE_16 = TABLES["loss"].row("L_CE")
DATA = Data("a", "b")


def gaps(*values: float | None, rates: Sequence[float] = FIRST_RATES) -> dict[str, float | None]:
    return dict(zip(map(str, rates), values, strict=True))


@pytest.mark.parametrize(
    ("tried", "rate"),
    [
        (gaps(0.1, 0.2, 0.3, 0.2), 0.01),
        (gaps(0.3, 0.3, 0.3, 0.3), 0.001),
        (gaps(0.2, 0.2995, 0.3, 0.1), 0.003),  # a tie
        (gaps(0.2, 0.2985, 0.3, 0.1), 0.01),  # no tie
        (gaps(0.2, None, 0.1, None), 0.001),
        (gaps(None, None, None, 0.01), 0.03),
    ],
)
def test_best_rate_is_chosen_and_the_lowest_among_ties(tried: GapByRate, rate: float) -> None:
    assert choose_rate(tried) == rate


def test_row_that_always_diverged_has_no_rate() -> None:
    with pytest.raises(UserError, match="the loss diverged at every learning rate"):
        choose_rate(gaps(*[None] * 4))


@pytest.mark.parametrize(
    ("tried", "rate"),
    [
        ({}, 0.001),
        (gaps(0.1, rates=[0.001]), 0.003),
        (gaps(0.1, 0.3, 0.2, 0.1), None),
        (gaps(0.1, 0.2, 0.3, 0.4), 0.1),  # best at the upper end
        (gaps(0.1, 0.2, 0.3, None), None),
        (gaps(0.3, 0.2, 0.1, None), 0.0003),
        (gaps(0.2995, 0.3, 0.1, 0.1), 0.0003),  # the lowest ties with the next
        (gaps(0.1, 0.0, 0.3, 0.2), 0.0003),  # two peaks around a saturated rate
        (gaps(0.1, 0.3, 0.0, 0.2), 0.1),
        (gaps(None, None, None, None), 0.0003),
        (gaps(0.1, 0.2, 0.3, 0.4, 0.3, rates=[*FIRST_RATES, 0.1]), None),
        (gaps(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, rates=[*FIRST_RATES, 0.1, 0.3, 1.0]), None),  # no higher rate exists
        (gaps(0.6, 0.5, 0.4, 0.3, 0.2, 0.1, rates=[0.0001, 0.0003, *FIRST_RATES]), None),
    ],
)
def test_search_continues_until_gap_falls_toward_both_ends(tried: GapByRate, rate: float | None) -> None:
    assert next_rate(tried) == rate


def test_video_level_search_starts_at_higher_rates() -> None:
    first = {name: search_recipe(name, "sample", 0.01).first_rates for name in ("pooling", "loss")}
    assert first == {"pooling": FIRST_RATES, "loss": FIRST_RATES_VIDEO}
    assert search_recipe("loss", "demo", 0.01).first_rates == FIRST_RATES
    assert next_rate({}, FIRST_RATES_VIDEO) == 0.01
    between = gaps(0.2, 0.3, 0.2, rates=FIRST_RATES_VIDEO)
    assert (next_rate(between, FIRST_RATES_VIDEO), next_rate(between)) == (None, 0.001)
    recipe = table_recipe("loss", "sample")
    assert (
        dataclasses.replace(recipe, rates={MOE_16.architecture: between})
        .experiment(MOE_16, 0, DATA)
        .training.learning_rate
        == 0.03
    )


def test_rates_survive_writing_and_reading_per_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_rates, "RATES_FILE", tmp_path / "rates.json")
    assert read_rates("here") == {}
    written = {MOE_16.architecture: gaps(0.1, 0.3, 0.2, None)}
    write_rates("here", written)
    assert read_rates("here") == written
    assert read_rates("elsewhere") == {}
    assert rate_for(MOE_16, written) == 0.003
    write_rates("elsewhere", {})
    assert (read_rates("here"), read_rates("elsewhere")) == (written, {})
    write_rates("here", {"another architecture": gaps(0.1, 0.3, 0.2, None)})
    assert [*read_rates("here")] == [MOE_16.architecture, "another architecture"]


def test_concurrent_searches_keep_each_others_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_rates, "RATES_FILE", tmp_path / "rates.json")
    architectures = [f"architecture {number}" for number in range(40)]
    with ThreadPoolExecutor(8) as searches:
        list(searches.map(lambda key: write_rates("here", {key: gaps(0.1, 0.3, 0.2, None)}), architectures))
    assert {*read_rates("here")} == {*architectures}


@pytest.mark.fault
def test_concurrent_searches_of_one_architecture_keep_each_others_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning_rates, "RATES_FILE", tmp_path / "rates.json")
    write_rates("here", {"moe": {"0.003": 0.2}})
    write_rates("here", {"moe": {"0.003": 0.2, "0.01": 0.3}})  # is further than the next one
    write_rates("here", {"moe": {"0.003": 0.2, "0.001": 0.1}})
    assert read_rates("here") == {"moe": {"0.001": 0.1, "0.003": 0.2, "0.01": 0.3}}
    assert [*read_rates("here")["moe"]] == ["0.001", "0.003", "0.01"]
    assert [path.name for path in tmp_path.iterdir()] == ["rates.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 2, "settings": 1}'])
def test_invalid_rates_file_is_rejected(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_rates, "RATES_FILE", tmp_path / "rates.json")
    learning_rates.RATES_FILE.write_text(text)
    with pytest.raises(UserError, match=r"rates\.json: not a learning rates file .* Make it again: yt8m rates"):
        read_rates("here")


@pytest.mark.parametrize(
    "stored",
    [{}, {MOE_16.architecture: {"0.001": 0.5}}, {MOE_16.architecture: gaps(0.1, 0.2, 0.3, 0.4)}],
    ids=["none", "one", "best at an end"],
)
def test_missing_rate_error_names_the_command(stored: GapsByRow) -> None:
    with pytest.raises(UserError, match=r"no learning rate for 'L_CE' .*Search for it: yt8m rates"):
        rate_for(MOE_16, stored)


@pytest.mark.parametrize("scale", ["demo", "sample"])
def test_rows_use_the_rate_of_their_architecture_except_in_the_rates_table(scale: str, rates_file: Path) -> None:
    stored = {**read_rates(search_setting("loss", scale))}
    stored[MOE_16.architecture] = gaps(0.1, 0.2, 0.3, None, None, rates=[*FIRST_RATES, 0.1])
    write_rates(search_setting("loss", scale), stored)
    other = TABLES["loss"].row("Huber (δ = 0.5)")

    def rate(table: str, row: str) -> float:
        return table_recipe(table, scale).experiment(TABLES[table].row(row), 0, DATA).training.learning_rate

    assert rate("loss", MOE_16.name) == rate("label_processing", TABLES["label_processing"].baseline) == 0.01
    assert rate("loss", other.name) == 0.003
    plain, normalized, *faster = (row.name for row in TABLES["rates"].rows)
    assert rate("rates", plain) == rate("rates", normalized) == FIXED_RATES["rates"]
    assert {rate("rates", row) for row in faster} == {25 * FIXED_RATES["rates"]}
    rates_file.unlink()
    with pytest.raises(UserError, match="yt8m rates"):
        rate("loss", MOE_16.name)


def test_smoke_and_paper_need_no_rate_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_rates, "RATES_FILE", tmp_path / "none.json")
    assert table_recipe("loss", "paper").experiment(MOE_16, 0, DATA).training == Training()
    assert table_recipe("loss", "smoke").experiment(MOE_16, 0, DATA).training.learning_rate == 0.01


@pytest.mark.parametrize("scale", ["demo", "sample"])
def test_each_architecture_is_searched_once_per_setting(scale: str) -> None:
    searched = [(search_setting(table, scale), row.architecture) for table, row in searched_rows(scale)]
    assert len({*searched}) == len(searched)
    expected = {
        (search_setting(name, scale), row.architecture)
        for name, table in TABLES.items()
        for row in table.rows
        if name not in FIXED_RATES
    }
    assert expected <= {*searched}
    assert len({setting for setting, _ in searched}) == (1 if scale == "demo" else 2)
    assert all(row.rate_multiplier == 1 for _, row in searched_rows(scale))
    if scale == "demo":
        architectures = {architecture for _, architecture in searched}
        assert {row.architecture for sweep in SWEEPS.values() for row in (sweep.row, sweep.reference)} <= architectures
    assert {row.architecture for _, row in searched_rows(scale, ["loss"])} == {
        row.architecture for row in TABLES["loss"].rows
    }


def test_no_table_uses_the_videos_or_the_seed_of_the_search() -> None:
    assert search_source("loss", "demo").identity != table_source("loss", "demo").identity
    assert all(SEARCH_SEED not in table_recipe(name, "paper").seeds for name in TABLES)
    assert SEARCH_SEED not in table_recipe("rates", "demo").seeds
    assert search_setting("loss", "demo") == search_setting("pooling", "demo")


@pytest.mark.real_data
@pytest.mark.parametrize("table", ["pooling", "loss"])
def test_sample_rates_are_searched_on_a_part_of_the_training_records(
    table: str, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = search_setting(table, "sample")
    monkeypatch.setenv("YT8M_REAL_DATA", str(real_data))
    assert search_setting(table, "sample") == before  # needs no data
    videos, searched = table_source(table, "sample").data, search_source(table, "sample").data
    training, validation = (set(find_shards(data)) for data in (searched.train, searched.validation))
    assert training.isdisjoint(validation)
    assert training | validation == set(find_shards(videos.train))


def test_search_rejects_scales_and_tables_without_searched_rates() -> None:
    with pytest.raises(UserError, match=r"rates: unknown scale 'paper'"):
        search_rates(scale="paper")
    with pytest.raises(UserError, match=r"unknown table 'rates'"):
        search_rates(["rates"], scale="demo")


def test_committed_file_has_every_architecture_of_the_demo_world() -> None:
    if learning_rates.RATES_FILE.is_file():
        stored = read_rates(search_setting("loss", "demo"))
        rows = [row for _, row in searched_rows("demo")]
        assert set(stored) == {row.architecture for row in rows}
        assert all(rate_for(row, stored) in RATES for row in rows)


def test_search_stores_results_resumes_and_records_divergence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_experiment(tmp_path)
    tiny = shard_source("tiny", str(tmp_path / "train"), str(tmp_path / "validation"))
    tiny = dataclasses.replace(tiny, data=dataclasses.replace(tiny.data, streams=STREAMS))
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(learning_rates, "RATES_FILE", tmp_path / "rates.json")
    monkeypatch.setattr(learning_rate_search, "search_source", lambda table, scale: tiny)

    def diverging_recipe(table: str, scale: str, rate: float) -> Recipe:
        rate = 1e15 if rate >= FIRST_RATES[-1] else rate  # weights overflow
        return Recipe(Training(epochs=2, batch_size=16, learning_rate=rate), 64, (SEARCH_SEED,))

    monkeypatch.setattr(learning_rate_search, "search_recipe", diverging_recipe)
    row = TABLES["classification"].row("3 Layer MLP-4096")
    monkeypatch.setattr(learning_rate_search, "searched_rows", lambda scale, tables: [("classification", row)])
    (result,) = search_rates(scale="demo", progress=silent).itertuples()
    assert (result.table, result.architecture) == ("classification", row.architecture)
    stored = read_rates(search_setting("classification", "demo"))
    assert stored[row.architecture][str(FIRST_RATES[-1])] is None
    assert all(stored[row.architecture][str(rate)] is not None for rate in FIRST_RATES[:-1])
    assert result.rate == rate_for(row, stored)
    assert result.tried == format_gaps(stored[row.architecture])
    notes: list[str] = []

    def record_note(what: str, done: int, total: int, note: str = "") -> None:
        notes.append(note)

    shutil.rmtree(tmp_path / "home")  # as on another machine: only the rates file remains
    (again,) = search_rates(scale="demo", progress=record_note).itertuples()
    assert again == result
    assert not any(notes)
    interrupted = {rate: gap for rate, gap in stored[row.architecture].items() if rate != str(FIRST_RATES[1])}
    learning_rates.RATES_FILE.unlink()
    write_rates(search_setting("classification", "demo"), {row.architecture: interrupted})
    (again,) = search_rates(scale="demo", progress=record_note).itertuples()
    assert again == result
    assert {rate for rate in RATES for note in notes if f"at {rate}," in note} == {FIRST_RATES[1]}
