"""Times by name, and the errors of a measurement."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Timings:
    """Times in seconds by name, and errors."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add(self, name: str, seconds: float) -> None:
        """Add one time."""
        self.seconds.setdefault(name, []).append(seconds)

    def table(self) -> str:
        """Return a line per name with the median and the 95th percentile."""
        lines = [f"{'':44}{'median':>8}{'p95':>8}{'times':>7}"]
        for name, seconds in self.seconds.items():
            lines.append(f"{name:44}{np.nanmedian(seconds):8.2f}{np.nanquantile(seconds, 0.95):8.2f}{len(seconds):7}")
        return "\n".join(lines)
