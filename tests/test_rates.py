"""Every line of slots has a learning rate of its own, found alike for all, and on videos that no table has."""

import dataclasses
from pathlib import Path

import pytest

from tests.tiny import STREAMS, tiny_experiment
from yt8m_core.ablation import dials, rates, search, setting
from yt8m_core.ablation.rates import GRID, choose, rate_of, read_rates, write_rates
from yt8m_core.ablation.search import every_line, search_rates
from yt8m_core.ablation.setting import SEARCH_SEED, Recipe, recipe, search_setting, search_source, shard_source, source
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Training
from yt8m_core.paper_tables import TABLES
from yt8m_core.progress import silent

MOE_16 = TABLES["loss"].row("L_CE")
DATA = Data("a", "b")


@pytest.mark.parametrize(
    ("gaps", "rate"),
    [
        ((0.1, 0.2, 0.3, 0.2), 0.01),
        ((0.3, 0.3, 0.3, 0.3), 0.001),
        ((0.2, 0.2995, 0.3, 0.1), 0.003),  # a tie: the lower
        ((0.2, 0.2985, 0.3, 0.1), 0.01),  # none
        ((0.2, None, 0.1, None), 0.001),
        ((None, None, None, 0.01), 0.03),
    ],
)
def test_the_best_rate_is_chosen_and_of_ties_the_lowest(gaps: tuple[float | None, ...], rate: float) -> None:
    assert choose(gaps) == rate


def test_a_line_that_never_had_a_finite_loss_has_no_rate() -> None:
    with pytest.raises(UserError, match="no rate with a finite loss"):
        choose([None] * 4)


def test_rates_are_read_as_they_were_written_and_only_in_their_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "FILE", tmp_path / "rates.json")
    assert read_rates("here") == {}
    found = {MOE_16.line: dict(zip(map(str, GRID), (0.1, 0.3, 0.2, None), strict=True))}
    write_rates("here", found)
    assert read_rates("here") == found
    assert read_rates("elsewhere") == {}
    assert rate_of(MOE_16, found) == 0.003


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "setting": "here"}'])
def test_a_file_that_is_none_of_rates_is_refused(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "FILE", tmp_path / "rates.json")
    rates.FILE.write_text(text)
    with pytest.raises(UserError, match=r"rates\.json: no learning rates .* Make it again: yt8m rates"):
        read_rates("here")


@pytest.mark.parametrize("found", [{}, {MOE_16.line: {"0.001": 0.5}}], ids=["absent", "other grid"])
def test_a_line_without_a_rate_says_what_to_run(found: rates.Found) -> None:
    with pytest.raises(UserError, match=r"no learning rate for 'L_CE' .*Search for it: yt8m rates"):
        rate_of(MOE_16, found)


@pytest.mark.parametrize("scale", ["demo", "sample"])
def test_each_row_trains_at_the_rate_of_its_line_but_those_that_are_about_the_rate(
    scale: str, found_rates: Path
) -> None:
    lines = {**read_rates(search_setting())}
    lines[MOE_16.line] = dict(zip(map(str, GRID), (0.1, 0.2, 0.3, 0.4), strict=True))
    write_rates(search_setting(), lines)
    other = TABLES["loss"].row("Huber (δ = 0.5)")

    def rate(table: str, row: str) -> float:
        return recipe(table, scale).experiment(TABLES[table].row(row), 0, DATA).training.learning_rate

    assert rate("loss", MOE_16.name) == rate("label_processing", TABLES["label_processing"].baseline) == 0.03
    assert rate("loss", other.name) == 0.001
    plain, normalised, *faster = (row.name for row in TABLES["rates"].rows)
    assert rate("rates", plain) == rate("rates", normalised) == setting.OWN_RATES["rates"]
    assert {rate("rates", row) for row in faster} == {25 * setting.OWN_RATES["rates"]}
    found_rates.unlink()
    with pytest.raises(UserError, match="yt8m rates"):
        rate("loss", MOE_16.name)


def test_smoke_and_paper_need_no_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "FILE", tmp_path / "none.json")
    assert recipe("loss", "paper").experiment(MOE_16, 0, DATA).training == Training()
    assert recipe("loss", "smoke").experiment(MOE_16, 0, DATA).training.learning_rate == 0.01


def test_every_line_that_has_a_rate_of_its_own_is_searched() -> None:
    lines = every_line()
    assert {row.line for name, table in TABLES.items() if name != "rates" for row in table.rows} <= set(lines)
    assert {row.line for dial in dials.DIALS.values() for row in (dial.row, dial.against)} <= set(lines)
    assert all(row.line == line and row.times_rate == 1 for line, row in lines.items())


def test_no_table_has_the_videos_or_the_seed_of_the_search() -> None:
    assert search_source("demo").identity != source("loss", "demo").identity
    assert all(SEARCH_SEED not in recipe(name, "paper").seeds for name in TABLES)
    assert SEARCH_SEED not in recipe("rates", "demo").seeds
    assert search_setting() == search_setting()


def test_the_committed_file_has_every_line_where_it_is_there() -> None:
    if rates.FILE.is_file():
        found = read_rates(search_setting())
        assert set(found) == set(every_line())
        assert all(rate_of(row, found) in GRID for row in every_line().values())


def test_the_search_writes_what_it_found_goes_on_and_leaves_out_what_diverged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_experiment(tmp_path)
    tiny = shard_source("tiny", str(tmp_path / "train"), str(tmp_path / "validation"))
    tiny = dataclasses.replace(tiny, data=dataclasses.replace(tiny.data, streams=STREAMS))
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(rates, "FILE", tmp_path / "rates.json")
    monkeypatch.setattr(search, "search_source", lambda world: tiny)

    def how(world: str, rate: float) -> Recipe:
        rate = 1e15 if rate == GRID[-1] else rate  # no weight stays finite
        return Recipe(Training(epochs=2, batch_size=16, learning_rate=rate), 64, (SEARCH_SEED,))

    monkeypatch.setattr(search, "search_recipe", how)
    row = TABLES["classification"].row("3 Layer MLP-4096")
    table = search_rates([row], scale="demo", progress=silent)
    assert table["line"].tolist() == [row.line]
    gaps = table.iloc[0, 1:5].astype(float)
    assert gaps.isna().tolist() == [False, False, False, True]
    assert table["rate"].iloc[0] == choose([*gaps[:3], None])
    found = read_rates(search_setting())
    assert list(found[row.line].values()) == [*gaps[:3], None]
    told: list[str] = []
    again = search_rates([row], scale="demo", progress=lambda what, done, total, note="": told.append(note))
    assert again.equals(table)
    assert not any(f"at {rate}" in note for note in told for rate in GRID[:3])
