"""All mean ensembles of eight published models: reading the table, contributions of members, strength and diversity."""

from contextlib import suppress
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from yt8m_core.analysis import published_ensembles
from yt8m_core.analysis.published_ensembles import best_by_size, explained_variance, member_gains, read_ensembles
from yt8m_core.errors import UserError

GapBySet = dict[frozenset[str], float]
NAMES = ["a", "b", "c", "d", "e"]


def gap_by_set(table: pd.DataFrame) -> GapBySet:
    """Return the GAP of each set of models; that of the empty set is the mean of the single models."""
    models = list(table.columns[1:-1])
    gaps = {frozenset(name for name in models if row[name]): row["gap"] for _, row in table.iterrows()}
    gaps[frozenset()] = sum(gaps[frozenset([name])] for name in models) / len(models)
    return gaps


def ensembles(gaps: np.ndarray) -> pd.DataFrame:
    """Return a table of all sets of log2(len(gaps) + 1) models, largest first."""
    models = NAMES[: len(gaps).bit_length()]
    sets = [chosen for size in range(len(models), 0, -1) for chosen in combinations(models, size)]
    rows = [
        {"members": len(chosen), **{name: int(name in chosen) for name in models}, "gap": gap}
        for chosen, gap in zip(sets, gaps, strict=True)
    ]
    return pd.DataFrame(rows)


tables = st.sampled_from([3, 7, 15, 31]).flatmap(
    lambda sets: arrays.arrays(np.float64, sets, elements=st.floats(0, 1, width=16)).map(ensembles)
)


class TestMemberGains:
    @given(tables)
    def test_equal_the_mean_over_all_orders_of_joining(self, table: pd.DataFrame) -> None:
        gaps = gap_by_set(table)
        models = list(table.columns[1:-1])
        orders = list(permutations(models))
        result = member_gains(table)
        assert result["gap"].is_monotonic_decreasing
        gains = result.set_index("model")
        for name in models:
            marginal = [
                gaps[frozenset(order[: order.index(name) + 1])] - gaps[frozenset(order[: order.index(name)])]
                for order in orders
            ]
            assert gains.loc[name, "shapley"] == pytest.approx(np.mean(marginal), abs=1e-12)
            others = frozenset(models) - {name}
            assert gains.loc[name, "last"] == pytest.approx(gaps[frozenset(models)] - gaps[others], abs=1e-12)
            assert gains.loc[name, "gap"] == gaps[frozenset([name])]

    @given(tables)
    def test_sum_to_the_gain_of_all_models_over_the_mean_model(self, table: pd.DataFrame) -> None:
        gaps = gap_by_set(table)
        total = gaps[frozenset(table.columns[1:-1])] - gaps[frozenset()]
        assert member_gains(table)["shapley"].sum() == pytest.approx(total, abs=1e-12)


@given(tables)
def test_best_and_strongest_sets_match_a_search(table: pd.DataFrame) -> None:
    gaps = gap_by_set(table)
    models = sorted(table.columns[1:-1], key=lambda name: -gaps[frozenset([name])])
    result = best_by_size(table)
    assert result["members"].tolist() == list(range(1, len(models) + 1))
    for row in result.itertuples():
        of_size = {chosen: gap for chosen, gap in gaps.items() if len(chosen) == row.members}
        assert row.sets == len(of_size)
        assert row.best == max(of_size.values()) == gaps[frozenset(row.best_set)]
        assert row.worst == min(of_size.values()) == gaps[frozenset(row.worst_set)]
        assert row.strongest == gaps[frozenset(models[: row.members])]
        assert row.rank == 1 + sum(gap > row.strongest for gap in of_size.values())
        assert list(row.best_set) == [name for name in models if name in row.best_set]


def squared_correlation(values: list[float], features: list[list[float]]) -> float:
    """R² of linear least squares, from the normal equations."""
    inputs = np.array([[1.0, *row] for row in zip(*features, strict=True)])
    weights = np.linalg.solve(inputs.T @ inputs, inputs.T @ np.array(values))
    errors = sum((value - row @ weights) ** 2 for value, row in zip(values, inputs, strict=True))
    return 1 - errors / sum((value - np.mean(values)) ** 2 for value in values)


@pytest.mark.parametrize("seed", range(5))
def test_explained_variance_matches_the_normal_equations(seed: int) -> None:
    table = ensembles(np.random.default_rng(seed).random(31))
    gaps = gap_by_set(table)
    models = list(table.columns[1:-1])
    result = explained_variance(table).set_index("members")
    assert list(result.index) == [3, 4]
    for size in (3, 4):
        sets = [frozenset(chosen) for chosen in combinations(models, size)]
        strength = [float(np.mean([gaps[frozenset([name])] for name in chosen])) for chosen in sets]
        pair_gain = [
            float(
                np.mean(
                    [
                        gaps[frozenset([a, b])] - (gaps[frozenset([a])] + gaps[frozenset([b])]) / 2
                        for a, b in combinations(sorted(chosen), 2)
                    ]
                )
            )
            for chosen in sets
        ]
        values = [gaps[chosen] for chosen in sets]
        assert result.loc[size, "sets"] == len(sets)
        for column, features in (("strength", [strength]), ("pair_gain", [pair_gain]), ("both", [strength, pair_gain])):
            assert result.loc[size, column] == pytest.approx(squared_correlation(values, features), abs=1e-9)


def test_gap_that_only_strength_decides_is_explained_by_it() -> None:
    alone = dict(zip("abcd", (0.8, 0.7, 0.5, 0.1), strict=True))
    table = ensembles(np.zeros(15))
    table["gap"] = [np.mean([alone[name] for name in "abcd" if row[name]]) for _, row in table.iterrows()]
    row = explained_variance(table).iloc[0]
    assert row["strength"] == pytest.approx(1)
    gains = member_gains(table)
    assert gains["model"].tolist() == list("abcd")
    assert gains["shapley"].is_monotonic_decreasing


def test_equal_ensembles_have_no_variance_to_explain() -> None:
    assert explained_variance(ensembles(np.full(15, 0.5)))[["strength", "pair_gain", "both"]].isna().all(axis=None)
    assert explained_variance(ensembles(np.full(3, 0.5))).empty


class TestReadEnsembles:
    @given(table=tables)
    def test_returns_what_was_written(self, table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> None:
        file = tmp_path_factory.mktemp("table") / "ensembles.csv"
        file.write_text("# a comment\n" + table.to_csv(index=False))
        pd.testing.assert_frame_equal(read_ensembles(file), table)

    @given(
        text=st.one_of(
            st.binary(max_size=200),
            st.lists(st.sampled_from([*"01,\n,\n2x-#", "members", "a", "gap", "0.5", "1e999", "\0"]), max_size=60).map(
                lambda parts: ("members,a,b,gap\n" + "".join(parts)).encode()
            ),
        )
    )
    def test_other_content_is_refused_without_a_traceback(
        self, text: bytes, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        file = tmp_path_factory.mktemp("table") / "ensembles.csv"
        file.write_bytes(text)
        with suppress(UserError):
            assert len(read_ensembles(file)) == 3

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda text: text.replace("gap", "map"), "columns members, a, b, map; expected members, one column for"),
            (lambda text: "members,a,gap\n1,1,0.5\n", "expected members, one column for each of at least two models"),
            (lambda text: text.replace("2,1,1", "2,1,3"), r"row 1, column 'b': found '3'; expected 1 for a member"),
            (lambda text: text.replace("2,1,1", "1,1,1"), r"row 1, column 'members': found '1'; expected the number"),
            (lambda text: text.replace("2,1,1", "0,0,0"), r"row 1, column 'members': found '0'; .* at least 1"),
            (lambda text: text.replace("0.25", "1.5"), r"row 2, column 'gap': found '1.5'; expected a GAP from 0 to 1"),
            (lambda text: text.replace("0.25", ""), r"row 2, column 'gap': found 'nan'"),
            (lambda text: text.replace("1,0,1", "1,1,0"), r"row 3: found the models of an earlier row"),
            (lambda text: text.rsplit("\n", 2)[0], r"found 2 rows; expected 3, all nonempty sets of 2 models"),
            (lambda text: "", "cannot be read"),
        ],
    )  # fmt: skip
    def test_error_names_the_row_and_what_was_expected(self, change, message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        file = tmp_path / "ensembles.csv"
        file.write_text(change(ensembles(np.array([0.5, 0.25, 0.125])).to_csv(index=False)))
        with pytest.raises(UserError, match=message) as refused:
            read_ensembles(file)
        assert str(file) in str(refused.value)

    def test_missing_file_is_reported(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="cannot be read"):
            read_ensembles(tmp_path / "none.csv")

    @pytest.mark.real_data
    def test_committed_table_has_the_published_values(self, real_data: Path) -> None:
        published = pd.read_csv(real_data / "yt8m-2017-ensembles" / "mean_of_8_models.csv")
        pd.testing.assert_frame_equal(read_ensembles(), published)
        assert "https://github.com/wangheda/youtube-8m at 07e54b38" in published_ensembles.PUBLISHED.read_text()


class TestPublishedModels:
    """Readings that notebook 06 states."""

    def test_largest_gains_from_the_last_member_are_those_of_the_three_strongest(self) -> None:
        gains = member_gains(read_ensembles())
        assert set(gains.nlargest(3, "last").index) == {0, 1, 2}
        weakest = gains.iloc[-1]
        assert weakest["model"] == "video_very_deep_combine_chain"
        assert weakest["last"] == pytest.approx(0.00071, abs=5e-6)
        assert (gains["last"] < weakest["last"]).sum() == 4
        assert gains.loc[gains["last"] < 0, "model"].tolist() == ["lstmmemory_cell1024_layer2_moe8"]
        assert gains["shapley"].rank(ascending=False).iloc[[0, 1, 2, 7]].tolist() == [1, 2, 3, 6]
        assert gains["shapley"].sum() == pytest.approx(0.02346, abs=5e-6)

    def test_strongest_models_are_the_best_set_of_up_to_three_members_only(self) -> None:
        sizes = best_by_size(read_ensembles()).set_index("members")
        assert sizes["rank"].tolist() == [1, 1, 1, 4, 2, 4, 5, 1]
        assert sizes.loc[7, ["strongest", "best"]].tolist() == pytest.approx([0.83666, 0.83740], abs=5e-6)
        assert sizes["best"].idxmax() == 7
        assert set(sizes.loc[2, "worst_set"]) == {"lstmmemory_cell1024_layer2_moe8", "lstmmemory_cell2048_layer2_moe4"}
        assert sizes.loc[2, "worst"] == pytest.approx(0.82270, abs=5e-6)
        assert all("video_very_deep_combine_chain" in sizes.loc[size, "best_set"] for size in (5, 6, 7))

    def test_strength_and_pair_gain_together_explain_the_ensembles_and_neither_does_alone(self) -> None:
        variance = explained_variance(read_ensembles())
        assert variance["members"].tolist() == [3, 4, 5, 6, 7]
        assert variance["strength"].between(0.19, 0.28).all()
        assert variance["pair_gain"].between(0.52, 0.58).all()
        assert variance["both"].gt(0.997).all()
