"""Sentences about results say what the intervals say, and no more."""

import re
from pathlib import Path

import pandas as pd
import pytest

from yt8m_core.ablation import as_markdown, in_words, readable, reading, stored, when
from yt8m_core.ablation.claims import CANNOT_TELL as OPEN
from yt8m_core.ablation.claims import FAILS, HOLDS
from yt8m_core.ablation.compare import BASELINE, CANNOT_TELL
from yt8m_core.ablation.significance import Estimate

BASE = Estimate(0, 0, 0)
NO_CLAIMS = pd.DataFrame(columns=["claim", "verdict"])


def table(scale: str = "demo world", seeds: int = 3, **differences: Estimate | None) -> pd.DataFrame:
    """Rows that are compared with 'mean', each with its difference."""
    rows = [("mean", BASE, BASELINE), *((row, d, d and in_words(d)) for row, d in differences.items())]
    return pd.DataFrame(
        [
            {
                "row": row, "against": "mean", "reading": word, "seeds": seeds, "videos": 800, "scale": scale,
                "difference": d and d.value, "difference_low": d and d.low, "difference_high": d and d.high,
            }
            for row, d, word in rows
        ]
    )  # fmt: skip


def claims(*verdicts: str) -> pd.DataFrame:
    return pd.DataFrame({"claim": [f"Claim {n}." for n in range(len(verdicts))], "verdict": verdicts})


def test_rows_are_named_under_what_their_intervals_say() -> None:
    rows = table(lstm=Estimate(0.1, 0.05, 0.15), cnn=Estimate(-0.2, -0.3, -0.1), noise=Estimate(0.3, -0.1, 0.7))
    said = reading(rows, NO_CLAIMS)
    assert said.startswith(
        "Demo world (800 videos, 3 seeds): better than mean: **lstm** (+0.1000); worse than mean: **cnn** (-0.2000); "
        f"{CANNOT_TELL} from mean: **noise** (+0.3000)."
    )
    assert said.endswith("The demo world is made up: this says nothing about YouTube-8M.")


@pytest.mark.parametrize("difference", [Estimate(0.3, -0.01, 0.61), Estimate(-0.3, -0.61, 0.01), BASE])
def test_no_row_is_better_or_worse_whose_interval_holds_zero(difference: Estimate) -> None:
    assert not re.search("better|worse", reading(table(row=difference), NO_CLAIMS))


def test_rows_without_another_are_not_compared_and_one_seed_is_owned_up_to() -> None:
    said = reading(table("full data set", 1, alone=None), NO_CLAIMS)
    assert said == (
        "Full data set (800 videos, one seed, whose own spread is not in the intervals): "
        "no row that has another to compare with."
    )


def test_rows_that_are_compared_with_several_name_each() -> None:
    rows = table(a=Estimate(0.1, 0.05, 0.15), b=Estimate(0.2, 0.1, 0.3))
    rows.loc[2, "against"] = "a"
    assert "better: **a** against mean (+0.1000), **b** against a (+0.2000)." in reading(rows, NO_CLAIMS)


@pytest.mark.parametrize(
    ("verdicts", "sentence"),
    [
        ((HOLDS, FAILS, OPEN), "3 claims put to the test, 1 held, 1 did not (Claim 1), and 1 cannot be told"),
        ((OPEN,), "1 claim put to the test, 0 held, 0 did not, and 1 cannot be told"),
        ((FAILS, FAILS), "2 claims put to the test, 0 held, 2 did not (Claim 0; Claim 1), and 0 cannot be told"),
        ((FAILS,) * 4, "4 claims put to the test, 0 held, 4 did not, and 0 cannot be told"),
    ],
)
def test_claims_are_counted_and_those_that_did_not_hold_named(verdicts: tuple[str, ...], sentence: str) -> None:
    assert sentence in reading(table(), claims(*verdicts))


def gains(*points: Estimate) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "dial": "label noise", "setting": 0.2 * n, "row": "Huber", "against": "CE", "gain": p.value,
                "gain_low": p.low, "gain_high": p.high, "seeds": 3, "videos": 400, "scale": "demo world",
            }
            for n, p in enumerate(points)
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("last", "word"),
    [
        (Estimate(0.2, 0.17, 0.23), "it grows (+0.2000, +0.1500 to +0.2500, between the ends)"),
        (Estimate(-0.2, -0.23, -0.17), "it falls (-0.2000, -0.2500 to -0.1500, between the ends)"),
        (Estimate(0.04, 0.01, 0.07), "a change that these data cannot tell from none (+0.0400, -0.0100 to +0.0900"),
    ],
)
def test_a_dial_moves_a_gain_where_the_interval_between_its_ends_says_so(last: Estimate, word: str) -> None:
    said = when(gains(Estimate(0.0, -0.04, 0.04), last))
    assert said.startswith("Demo world (400 videos, 3 seeds): the gain of **Huber** over CE is +0.0000 (no difference")
    assert f"{last.value:+.4f} ({in_words(last)}) at 0.2 of the label noise; " in said
    assert word in said


@pytest.mark.parametrize(
    ("middle", "turns"),
    [
        (Estimate(-0.2, -0.25, -0.15), ", but is lower between them, at 0.2."),
        (Estimate(0.5, 0.4, 0.6), ", but is higher between them, at 0.2."),
        (Estimate(-0.1, -0.2, -0.03), "between the ends)."),  # too near to the first to tell
        (Estimate(0.1, 0.09, 0.11), "between the ends)."),
    ],
)
def test_a_gain_that_turns_between_the_ends_is_not_told_as_one_that_only_moves(middle: Estimate, turns: str) -> None:
    said = when(gains(Estimate(0.0, -0.04, 0.04), middle, Estimate(0.2, 0.17, 0.23)))
    assert "it grows (+0.2000, +0.1500 to +0.2500, between the ends)" in said
    assert said.endswith(turns)


def test_table_for_a_person_has_values_with_their_intervals_and_nothing_where_nothing_is() -> None:
    rows = table(lstm=Estimate(0.1234, 0.05, 0.15), alone=None)
    shown = readable(rows.assign(paper_gap=[0.7, None, 0.8]))
    assert shown["difference (95 %)"].tolist()[1:] == ["+0.1234 (+0.0500 to +0.1500)", ""]
    assert shown["the paper's GAP"].tolist() == ["0.700", "", "0.800"]
    assert "Hit@1" not in shown
    lines = as_markdown(shown.assign(row="a|b")).splitlines()
    assert lines[0].startswith("| row | the paper's GAP | against |")
    assert all(line.startswith("| a\\|b |") for line in lines[2:])


def test_a_result_that_is_not_kept_says_what_makes_it(tmp_path: Path) -> None:
    assert "`yt8m ablate loss --scale sample` makes it" in stored("loss", "sample", tmp_path)
    assert stored("loss", "sample", tmp_path)._repr_markdown_() == stored("loss", "sample", tmp_path)
