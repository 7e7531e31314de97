"""Sentences and tables about results state no more than the confidence intervals show."""

import re
from pathlib import Path

import pandas as pd
import pytest

from yt8m_core.ablation import (
    band_table,
    claim_table,
    difference_verdict,
    folded_bands,
    format_table,
    result_table,
    stored_result,
    summarize,
    summarize_sweep,
    to_markdown,
)
from yt8m_core.ablation.claims import CONTRADICTED, INCONCLUSIVE, SUPPORTED
from yt8m_core.ablation.compare import BASELINE
from yt8m_core.metrics.bootstrap import Estimate

ZERO = Estimate(0, 0, 0)
NO_CLAIMS = pd.DataFrame(columns=["claim", "verdict"])


def table(scale: str = "demo world", seeds: int = 3, **differences: Estimate | None) -> pd.DataFrame:
    """Return rows with 'mean' as their reference, each with its difference."""
    rows = [("mean", ZERO, BASELINE), *((row, d, d and difference_verdict(d)) for row, d in differences.items())]
    return pd.DataFrame(
        [
            {
                "row": row, "reference": "mean", "verdict": verdict, "seeds": seeds, "videos": 800, "scale": scale,
                "difference": d and d.value, "difference_low": d and d.low, "difference_high": d and d.high,
            }
            for row, d, verdict in rows
        ]
    )  # fmt: skip


def claims(*verdicts: str) -> pd.DataFrame:
    return pd.DataFrame({"claim": [f"Claim {n}." for n in range(len(verdicts))], "verdict": verdicts})


def test_rows_are_grouped_by_what_their_intervals_show() -> None:
    rows = table(
        lstm=Estimate(0.1, 0.05, 0.15),
        gru=Estimate(0.1, 0.05, 0.15),
        cnn=Estimate(-0.2, -0.3, -0.1),
        noise=Estimate(0.3, -0.1, 0.7),
    )
    assert summarize(rows, NO_CLAIMS) == (
        "On the demo world (800 videos, 3 seeds; synthetic data), compared with mean: **lstm** and **gru** are better; "
        "**cnn** is worse; **noise** does not differ significantly."
    )


@pytest.mark.parametrize("difference", [Estimate(0.3, -0.01, 0.61), Estimate(-0.3, -0.61, 0.01), ZERO])
def test_row_whose_interval_contains_zero_is_neither_better_nor_worse(difference: Estimate) -> None:
    assert not re.search("better|worse", summarize(table(row=difference), NO_CLAIMS))


def test_rows_without_reference_are_not_compared_and_one_seed_is_mentioned() -> None:
    assert summarize(table("full data set", 1, alone=None), NO_CLAIMS) == (
        "On the full data set (800 videos, 1 seed, so intervals cover videos only), "
        "no row has a reference to compare with."
    )


def test_rows_with_several_references_name_each() -> None:
    rows = table(a=Estimate(0.1, 0.05, 0.15), b=Estimate(0.2, 0.1, 0.3))
    rows.loc[2, "reference"] = "a"
    assert "compared with mean: **a** is better; compared with a: **b** is better." in summarize(rows, NO_CLAIMS)
    note = result_table(rows).splitlines()[6]
    assert note == "Difference: to **mean**, paired by video and seed; **b**: to **a**."


@pytest.mark.parametrize(
    ("verdicts", "sentence"),
    [
        ((SUPPORTED, CONTRADICTED, INCONCLUSIVE), "3 claims tested: 1 supported, 1 contradicted, 1 inconclusive."),
        ((INCONCLUSIVE,), "1 claim tested: 0 supported, 0 contradicted, 1 inconclusive."),
        ((CONTRADICTED,) * 4, "4 claims tested: 0 supported, 4 contradicted, 0 inconclusive."),
    ],
)
def test_claims_are_counted_by_verdict(verdicts: tuple[str, ...], sentence: str) -> None:
    assert summarize(table(), claims(*verdicts)).endswith(f". {sentence}")


def test_claim_table_folds_the_evidence_into_a_list() -> None:
    rows = claims(SUPPORTED).assign(source="section 1", evidence=[["a vs. b: +0.1000", "a vs. c: +0.2000"]])
    lines = claim_table(rows).splitlines()
    assert lines[0] == "| claim | source | verdict |"
    assert lines[2] == "| Claim 0. | section 1 | supported |"
    assert lines[lines.index("- Claim 0. *supported*") + 1 :][:2] == ["  - a vs. b: +0.1000", "  - a vs. c: +0.2000"]
    assert "+0.1" not in "".join(lines[:3])


def gains(*points: Estimate) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "parameter": "label noise", "value": 0.2 * n, "row": "Huber", "reference": "CE", "gain": p.value,
                "gain_low": p.low, "gain_high": p.high, "seeds": 3, "videos": 400, "scale": "demo world",
            }
            for n, p in enumerate(points)
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        (Estimate(0.2, 0.17, 0.23), "It increases from the first to the last value: +0.2000 [+0.1500, +0.2500]."),
        (Estimate(-0.2, -0.23, -0.17), "It decreases from the first to the last value: −0.2000 [−0.2500, −0.1500]."),
        (
            Estimate(0.04, 0.01, 0.07),
            "It does not change significantly from the first to the last value: +0.0400 [−0.0100, +0.0900].",
        ),
    ],
)
def test_gain_changes_if_the_interval_between_the_ends_excludes_zero(last: Estimate, sentence: str) -> None:
    text = summarize_sweep(gains(Estimate(0.0, -0.04, 0.04), last))
    assert text.startswith("On the demo world (400 videos, 3 seeds; synthetic data), the gain of **Huber** over CE is ")
    assert "is +0.0000 (no significant difference) at 0, " in text
    value = f"{last.value:+.4f}".replace("-", "−")
    assert f"{value} ({difference_verdict(last)}) at 0.2 (parameter: label noise). " in text
    assert text.endswith(sentence)


@pytest.mark.parametrize(
    ("middle", "ending"),
    [
        (Estimate(-0.2, -0.25, -0.15), ", but is lower in between, at 0.2."),
        (Estimate(0.5, 0.4, 0.6), ", but is higher in between, at 0.2."),
        (Estimate(-0.1, -0.2, -0.03), "[+0.1500, +0.2500]."),  # its interval overlaps that of the first value
        (Estimate(0.1, 0.09, 0.11), "[+0.1500, +0.2500]."),
    ],
)
def test_gain_outside_the_range_of_both_ends_is_mentioned(middle: Estimate, ending: str) -> None:
    text = summarize_sweep(gains(Estimate(0.0, -0.04, 0.04), middle, Estimate(0.2, 0.17, 0.23)))
    assert "It increases from the first to the last value: +0.2000 [+0.1500, +0.2500]" in text
    assert text.endswith(ending)


def test_formatted_table_has_intervals_and_empty_cells_for_missing_values() -> None:
    rows = table(lstm=Estimate(0.1234, 0.05, 0.15), alone=None)
    texts = format_table(rows.assign(paper_gap=[0.7, None, 0.8]))
    assert texts["difference [95% CI]"].tolist() == ["", "+0.1234 [+0.0500, +0.1500]", ""]
    assert texts["paper's GAP"].tolist() == ["0.700", "", "0.800"]
    assert "Hit@1" not in texts
    bands = format_table(rows.assign(paper_gap=None, ap_head=[0.5, None, 0.25], ap_tail=float("nan")))
    assert bands["AP, head"].tolist() == ["0.500", "", "0.250"]
    assert not {"AP, tail", "paper's GAP"} & {*bands.columns}
    lines = to_markdown(texts.assign(row="a|b")).splitlines()
    assert lines[0].startswith("| row | paper's GAP | difference [95% CI] | verdict |")
    assert all(line.startswith("| a\\|b |") for line in lines[2:])


def test_result_table_shows_seven_columns_and_folds_the_others() -> None:
    numbers = dict.fromkeys(("gap", "gap_low", "gap_high", "paper_gap", "hit_at_1", "perr", "map"), 0.5)
    rows = table(lstm=Estimate(0.1, 0.05, 0.15)).assign(**numbers, parameters=1000, videos_per_second=2e3, data="x")
    text = result_table(rows)
    shown, _, hidden = text.partition("<details>")
    assert shown.splitlines()[0] == (
        "| row | paper's GAP | GAP [95% CI] | difference [95% CI] | verdict | parameters | videos/s |"
    )
    assert shown.splitlines()[3] == (
        "| lstm | 0.500 | 0.500 [0.500, 0.500] | +0.1000 [+0.0500, +0.1500] | better | 1,000 | 2,000 |"
    )
    assert "| row | compared with | Hit@1 | PERR | mAP | seeds | videos | scale | data |" in hidden


def test_missing_result_names_its_command(tmp_path: Path) -> None:
    text = stored_result("loss", "sample", tmp_path)
    assert text == "No result for scale 'sample' is stored. To make it: `yt8m ablate loss --scale sample`."
    assert text._repr_markdown_() == text


def test_band_table_has_a_line_per_row_and_marks_gains_whose_interval_excludes_zero() -> None:
    bands = pd.DataFrame(
        {
            "row": ["Focal", "Focal", "Hill"],
            "reference": "Plain",
            "band": ["head", "tail", "tail"],
            "labels": [5, 1200, 1200],
            "gain": [0.01, 0.02, -0.03],
            "low": [-0.01, 0.01, -0.04],
            "high": [0.03, 0.03, -0.02],
            "verdict": ["no significant difference", "better", "worse"],
        }
    )
    assert band_table(bands).splitlines()[2:] == [
        "| row | head (5 labels) | tail (1,200 labels) |",
        "|---|---|---|",
        "| Focal | +0.0100 [−0.0100, +0.0300] | **+0.0200 [+0.0100, +0.0300]** |",
        "| Hill |  | **−0.0300 [−0.0400, −0.0200]** |",
    ]
    assert folded_bands(bands).startswith("<details><summary>Average precision by frequency band</summary>")
    assert band_table(bands[:0]) == folded_bands(bands[:0]) == ""
