"""Every line of slots has a learning rate of its own, found alike for all, and on videos that no table has."""

import dataclasses
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core.ablation import demo_sweeps, learning_rate_search
from yt8m_core.ablation import learning_rates as rates
from yt8m_core.ablation import recipe as setting
from yt8m_core.ablation.learning_rate_search import every_line, search_rates
from yt8m_core.ablation.learning_rates import (
    FIRST,
    FIRST_OF_VECTORS,
    RATES,
    choose,
    next_rate,
    rate_of,
    read_rates,
    write_rates,
)
from yt8m_core.ablation.recipe import (
    SEARCH_SEED,
    Recipe,
    recipe,
    search_recipe,
    search_setting,
    search_source,
    shard_source,
    source,
)
from yt8m_core.data.index import find_shards
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Training
from yt8m_core.paper_tables import TABLES
from yt8m_core.progress import silent

MOE_16 = TABLES["loss"].row("L_CE")
DATA = Data("a", "b")


def gaps(*values: float | None, rates: Sequence[float] = FIRST) -> dict[str, float | None]:
    return dict(zip(map(str, rates), values, strict=True))


@pytest.mark.parametrize(
    ("tried", "rate"),
    [
        (gaps(0.1, 0.2, 0.3, 0.2), 0.01),
        (gaps(0.3, 0.3, 0.3, 0.3), 0.001),
        (gaps(0.2, 0.2995, 0.3, 0.1), 0.003),  # a tie: the lower
        (gaps(0.2, 0.2985, 0.3, 0.1), 0.01),  # none
        (gaps(0.2, None, 0.1, None), 0.001),
        (gaps(None, None, None, 0.01), 0.03),
    ],
)
def test_the_best_rate_is_chosen_and_of_ties_the_lowest(tried: rates.Gaps, rate: float) -> None:
    assert choose(tried) == rate


def test_a_line_that_never_had_a_finite_loss_has_no_rate() -> None:
    with pytest.raises(UserError, match="no rate with a finite loss"):
        choose(gaps(*[None] * 4))


@pytest.mark.parametrize(
    ("tried", "rate"),
    [
        ({}, 0.001),
        (gaps(0.1, rates=[0.001]), 0.003),
        (gaps(0.1, 0.3, 0.2, 0.1), None),
        (gaps(0.1, 0.2, 0.3, 0.4), 0.1),  # the best is at the end
        (gaps(0.1, 0.2, 0.3, None), None),
        (gaps(0.3, 0.2, 0.1, None), 0.0003),
        (gaps(0.2995, 0.3, 0.1, 0.1), 0.0003),  # the lowest is as good as the next
        (gaps(0.1, 0.0, 0.3, 0.2), 0.0003),  # saturated between two hills: the lower one may be the higher
        (gaps(0.1, 0.3, 0.0, 0.2), 0.1),
        (gaps(None, None, None, None), 0.0003),
        (gaps(0.1, 0.2, 0.3, 0.4, 0.3, rates=[*FIRST, 0.1]), None),
        (gaps(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, rates=[*FIRST, 0.1, 0.3, 1.0]), None),  # there is no higher one
        (gaps(0.6, 0.5, 0.4, 0.3, 0.2, 0.1, rates=[0.0001, 0.0003, *FIRST]), None),
    ],
)
def test_rates_are_tried_until_the_gap_falls_to_both_ends(tried: rates.Gaps, rate: float | None) -> None:
    assert next_rate(tried) == rate


def test_lines_on_one_vector_a_video_begin_at_higher_rates() -> None:
    first = {name: search_recipe(name, "sample", 0.01).first_rates for name in ("pooling", "loss")}
    assert first == {"pooling": FIRST, "loss": FIRST_OF_VECTORS}
    assert search_recipe("loss", "demo", 0.01).first_rates == FIRST
    assert next_rate({}, FIRST_OF_VECTORS) == 0.01
    between = gaps(0.2, 0.3, 0.2, rates=FIRST_OF_VECTORS)
    assert (next_rate(between, FIRST_OF_VECTORS), next_rate(between)) == (None, 0.001)
    how = recipe("loss", "sample")
    assert (
        dataclasses.replace(how, rates={MOE_16.line: between}).experiment(MOE_16, 0, DATA).training.learning_rate
        == 0.03
    )


def test_rates_are_read_as_they_were_written_and_only_in_their_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "FILE", tmp_path / "rates.json")
    assert read_rates("here") == {}
    found = {MOE_16.line: gaps(0.1, 0.3, 0.2, None)}
    write_rates("here", found)
    assert read_rates("here") == found
    assert read_rates("elsewhere") == {}
    assert rate_of(MOE_16, found) == 0.003
    write_rates("elsewhere", {})
    assert (read_rates("here"), read_rates("elsewhere")) == (found, {})
    write_rates("here", {"another line": gaps(0.1, 0.3, 0.2, None)})
    assert [*read_rates("here")] == [MOE_16.line, "another line"]


def test_searches_at_the_same_time_lose_nothing_of_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "FILE", tmp_path / "rates.json")
    lines = [f"line {number}" for number in range(40)]
    with ThreadPoolExecutor(8) as searches:
        list(searches.map(lambda line: write_rates("here", {line: gaps(0.1, 0.3, 0.2, None)}), lines))
    assert {*read_rates("here")} == {*lines}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 2, "settings": 1}'])
def test_a_file_that_is_none_of_rates_is_refused(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "FILE", tmp_path / "rates.json")
    rates.FILE.write_text(text)
    with pytest.raises(UserError, match=r"rates\.json: no learning rates .* Make it again: yt8m rates"):
        read_rates("here")


@pytest.mark.parametrize(
    "found", [{}, {MOE_16.line: {"0.001": 0.5}}, {MOE_16.line: gaps(0.1, 0.2, 0.3, 0.4)}], ids=["no", "one", "an end"]
)
def test_a_line_without_a_rate_says_what_to_run(found: rates.Found) -> None:
    with pytest.raises(UserError, match=r"no learning rate for 'L_CE' .*Search for it: yt8m rates"):
        rate_of(MOE_16, found)


@pytest.mark.parametrize("scale", ["demo", "sample"])
def test_each_row_trains_at_the_rate_of_its_line_but_those_that_are_about_the_rate(
    scale: str, rates_file: Path
) -> None:
    lines = {**read_rates(search_setting("loss", scale))}
    lines[MOE_16.line] = gaps(0.1, 0.2, 0.3, None, None, rates=[*FIRST, 0.1])
    write_rates(search_setting("loss", scale), lines)
    other = TABLES["loss"].row("Huber (δ = 0.5)")

    def rate(table: str, row: str) -> float:
        return recipe(table, scale).experiment(TABLES[table].row(row), 0, DATA).training.learning_rate

    assert rate("loss", MOE_16.name) == rate("label_processing", TABLES["label_processing"].baseline) == 0.01
    assert rate("loss", other.name) == 0.003
    plain, normalized, *faster = (row.name for row in TABLES["rates"].rows)
    assert rate("rates", plain) == rate("rates", normalized) == setting.OWN_RATES["rates"]
    assert {rate("rates", row) for row in faster} == {25 * setting.OWN_RATES["rates"]}
    rates_file.unlink()
    with pytest.raises(UserError, match="yt8m rates"):
        rate("loss", MOE_16.name)


def test_smoke_and_paper_need_no_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "FILE", tmp_path / "none.json")
    assert recipe("loss", "paper").experiment(MOE_16, 0, DATA).training == Training()
    assert recipe("loss", "smoke").experiment(MOE_16, 0, DATA).training.learning_rate == 0.01


@pytest.mark.parametrize("scale", ["demo", "sample"])
def test_every_line_that_has_a_rate_of_its_own_is_searched_once_in_its_setting(scale: str) -> None:
    searched = [(search_setting(table, scale), row.line) for table, row in every_line(scale)]
    assert len({*searched}) == len(searched)
    wanted = {
        (search_setting(name, scale), row.line)
        for name, table in TABLES.items()
        for row in table.rows
        if name not in setting.OWN_RATES
    }
    assert wanted <= {*searched}
    assert len({one for one, _ in searched}) == (1 if scale == "demo" else 2)
    assert all(row.rate_multiplier == 1 for _, row in every_line(scale))
    if scale == "demo":
        lines = {line for _, line in searched}
        assert {row.line for dial in demo_sweeps.DIALS.values() for row in (dial.row, dial.against)} <= lines
    assert {row.line for _, row in every_line(scale, ["loss"])} == {row.line for row in TABLES["loss"].rows}


def test_no_table_has_the_videos_or_the_seed_of_the_search() -> None:
    assert search_source("loss", "demo").identity != source("loss", "demo").identity
    assert all(SEARCH_SEED not in recipe(name, "paper").seeds for name in TABLES)
    assert SEARCH_SEED not in recipe("rates", "demo").seeds
    assert search_setting("loss", "demo") == search_setting("pooling", "demo")


@pytest.mark.real_data
@pytest.mark.parametrize("table", ["pooling", "loss"])
def test_rates_of_a_sample_are_searched_on_a_part_of_the_videos_to_train_on(
    table: str, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = search_setting(table, "sample")
    monkeypatch.setenv("YT8M_REAL_DATA", str(real_data))
    assert search_setting(table, "sample") == before  # which needs no data
    videos, searched = source(table, "sample").data, search_source(table, "sample").data
    learned, measured = (set(find_shards(data)) for data in (searched.train, searched.validation))
    assert learned.isdisjoint(measured)
    assert learned | measured == set(find_shards(videos.train))


def test_rates_are_searched_where_there_are_some_to_find() -> None:
    with pytest.raises(UserError, match=r"rates: unknown scale 'paper'"):
        search_rates(scale="paper")
    with pytest.raises(UserError, match=r"unknown table 'rates'"):
        search_rates(["rates"], scale="demo")


def test_the_committed_file_has_every_line_of_the_demo_world_where_it_is_there() -> None:
    if rates.FILE.is_file():
        found = read_rates(search_setting("loss", "demo"))
        rows = [row for _, row in every_line("demo")]
        assert set(found) == {row.line for row in rows}
        assert all(rate_of(row, found) in RATES for row in rows)


def test_the_search_writes_what_it_found_goes_on_and_leaves_out_what_diverged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_experiment(tmp_path)
    tiny = shard_source("tiny", str(tmp_path / "train"), str(tmp_path / "validation"))
    tiny = dataclasses.replace(tiny, data=dataclasses.replace(tiny.data, streams=STREAMS))
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(rates, "FILE", tmp_path / "rates.json")
    monkeypatch.setattr(learning_rate_search, "search_source", lambda table, scale: tiny)

    def how(table: str, scale: str, rate: float) -> Recipe:
        rate = 1e15 if rate >= FIRST[-1] else rate  # no weight stays finite
        return Recipe(Training(epochs=2, batch_size=16, learning_rate=rate), 64, (SEARCH_SEED,))

    monkeypatch.setattr(learning_rate_search, "search_recipe", how)
    row = TABLES["classification"].row("3 Layer MLP-4096")
    monkeypatch.setattr(learning_rate_search, "every_line", lambda scale, tables: [("classification", row)])
    (line,) = search_rates(scale="demo", progress=silent).itertuples()
    assert (line.table, line.line) == ("classification", row.line)
    found = read_rates(search_setting("classification", "demo"))
    assert found[row.line][str(FIRST[-1])] is None
    assert all(found[row.line][str(rate)] is not None for rate in FIRST[:-1])
    assert line.rate == rate_of(row, found)
    assert line.tried == learning_rate_search.in_words(found[row.line])
    told: list[str] = []

    def tell(what: str, done: int, total: int, note: str = "") -> None:
        told.append(note)

    shutil.rmtree(tmp_path / "home")  # as on another machine: the file alone says what is done
    (again,) = search_rates(scale="demo", progress=tell).itertuples()
    assert again == line
    assert not any(told)
    lost = {rate: gap for rate, gap in found[row.line].items() if rate != str(FIRST[1])}
    write_rates(search_setting("classification", "demo"), {row.line: lost})  # as if it was stopped before that rate
    (again,) = search_rates(scale="demo", progress=tell).itertuples()
    assert again == line
    assert {rate for rate in RATES for note in told if f"at {rate}," in note} == {FIRST[1]}
