"""The names that ``yt8m_core`` exports."""

import doctest
import importlib
import subprocess
import sys

import pytest

import yt8m_core

HEAVY = ("torch", "numpy", "pandas", "pyarrow", "lightning_fabric", "tyro", "tqdm")


@pytest.mark.slow
def test_import_is_fast_and_loads_nothing_heavy() -> None:
    code = f"""
import sys, time
started = time.perf_counter()
import yt8m_core
seconds = time.perf_counter() - started
assert set(yt8m_core.__all__) <= set(dir(yt8m_core))
print(seconds, *[name for name in {HEAVY!r} if name in sys.modules])
"""
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(3)
    ]
    assert all(len(run) == 1 for run in runs), runs
    assert min(float(run[0]) for run in runs) < 0.2


@pytest.mark.parametrize("name", yt8m_core.__all__)
def test_each_name_has_a_docstring_with_an_example(name: str) -> None:
    public = getattr(yt8m_core, name)
    assert public is getattr(importlib.import_module(public.__module__), name)
    assert public.__doc__
    assert any(test.examples for test in doctest.DocTestFinder(recurse=False).find(public, name))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = yt8m_core.trian
