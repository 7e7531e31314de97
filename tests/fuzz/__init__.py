"""Fuzzing: mutants of real records as input of all readers of untrusted bytes, and command lines of all commands.

    python -m tests.fuzz --mutations 100000

No mutant may crash its reader, exceed the time limit, need more than three times its size in memory, or give another
result than an independent parser. ``mutate.py`` creates mutants, ``targets.py`` has the readers and their oracles, and
``hunt.py`` runs them in a child process that may die.
"""
