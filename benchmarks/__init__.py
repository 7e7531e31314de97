"""How fast this is, beside what others offer and what the machine allows: ``python -m benchmarks``."""
