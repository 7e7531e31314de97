"""Addresses with braces: what they stand for, and a bound on it."""

import pytest

from yt8m_core.errors import UserError
from yt8m_core.storage.address import expand_braces


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("s3://b/a.tfrecord", ["s3://b/a.tfrecord"]),
        ("s3://b/{a,b}{1..2}", ["s3://b/a1", "s3://b/a2", "s3://b/b1", "s3://b/b2"]),
        ("s3://b/{a,{b,a}}", ["s3://b/a", "s3://b/b"]),
        ("s3://b/{098..101}", ["s3://b/098", "s3://b/099", "s3://b/100", "s3://b/101"]),
        ("s3://b/{2..1}", []),
    ],
)
def test_braces_stand_for_lists_and_numbers(address: str, expected: list[str]) -> None:
    assert expand_braces(address) == expected


@pytest.mark.fault
@pytest.mark.parametrize(
    "braces", ["{0..99999}{0..99999}", "{a,b}" * 60, "{0..999999999999999999}", "{,}" * 1000], ids=str.__len__
)
def test_braces_that_stand_for_too_much_are_refused_at_once(braces: str) -> None:
    with pytest.raises(UserError, match="more than 100,000 addresses"):
        expand_braces(f"http://host/{braces}")


@pytest.mark.fault
def test_number_of_many_digits_is_a_name() -> None:
    assert len(expand_braces(f"http://host/{{1..{'9' * 5000}}}")) == 1
