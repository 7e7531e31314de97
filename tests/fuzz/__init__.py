"""Mutants of real records, fed to whatever reads a stranger's bytes.

    python -m tests.fuzz --mutations 100000

No mutant may crash its reader, keep it busy, cost it three times its own size in memory, or come to another result than
an independent reading of the same bytes. ``mutate.py`` makes mutants, ``targets.py`` has the readers and what is held
against them, ``hunt.py`` runs them in a child that may die.
"""
