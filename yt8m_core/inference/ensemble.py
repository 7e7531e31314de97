"""Ensembles: the average of several models' probabilities, and the diversity of the members (section 3.3).

The paper averages the scores of its models and finds diverse members more useful than strong ones.
https://arxiv.org/abs/1706.07960
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Batch, ordered_batches
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError, check_choice
from yt8m_core.inference.array_cache import digest
from yt8m_core.inference.compute import Compute, choose_compute
from yt8m_core.inference.ensemble_comparison import Comparison
from yt8m_core.inference.evaluation import check_features, open_run_data
from yt8m_core.inference.identity import compute_identity, run_identity, videos_identity
from yt8m_core.inference.prediction_files import check_output, join_predictions, parts_folder, write_predictions
from yt8m_core.inference.score_files import ListedScores, Scorer, is_score_file, open_score_file
from yt8m_core.inference.scoring_parts import BATCH_SIZE, STATE, Batches, Count, score_parts
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.processes.group import ALONE, Group
from yt8m_core.processes.parts import shared_lock
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run
from yt8m_core.storage.file_state import FileState
from yt8m_core.workspace import workspace

EPS = 1e-7  # probabilities are clamped to [EPS, 1 - EPS] before their logits are averaged


def average(scores: Sequence[Tensor], weights: Sequence[float], kind: str = "probability") -> Tensor:
    """Return the weighted average of the members' probabilities.

    >>> import torch
    >>> average([torch.tensor([[0.2]]), torch.tensor([[0.8]])], [3, 1])
    tensor([[0.3500]])

    Args:
        scores: probabilities [B, C] of each member.
        weights: non-negative, not all 0; normalized to sum to 1.
        kind: "probability" for the mean of p, as in the paper, or "logit" for the mean of log p/(1-p), which gives
            confident members more influence.

    Returns:
        Probabilities [B, C].

    Raises:
        UserError: the kind is unknown, or the weights are invalid.
    """
    check_choice("average", kind, ("probability", "logit"))
    if len(weights) != len(scores):
        raise UserError(f"{len(weights)} weights", expected=f"one for each of {len(scores)} members")
    total = sum(weights)
    if not all(weight >= 0 for weight in weights) or not 0 < total < float("inf"):
        raise UserError(f"weights {list(weights)}", expected="non-negative numbers, not all 0, with a finite sum")
    shares = [weight / total for weight in weights]
    if kind == "logit":
        return sum(share * p.logit(EPS) for share, p in zip(shares, scores, strict=True)).sigmoid()  # type: ignore[union-attr]
    return sum(share * p for share, p in zip(shares, scores, strict=True))  # type: ignore[return-value]


@dataclass(frozen=True)
class Ensemble:
    """Members that score the same videos, with their weights and the kind of average."""

    videos: Videos
    num_classes: int
    members: Mapping[str, VideoClassifier | Scorer]  # by name: models, on the device of ``compute``, and files
    weights: Sequence[float]
    kind: str = "probability"
    vocabulary: Vocabulary | None = None
    compute: Compute = field(default_factory=Compute)
    identity: Sequence[Any] = ()  # of the members, as JSON values

    @classmethod
    def open(
        cls,
        members: Sequence[Path],
        data: str | Path,
        *,
        weights: Sequence[float] = (),
        kind: str = "probability",
        accelerator: str = "",
        precision: str = "",
        skip_bad: bool = False,
        allow: Sequence[str] = (),
        group: Group = ALONE,
        progress: Progress = silent,
    ) -> "Ensemble":
        """Open run folders and files of scores as an ensemble on DATA.

        Args:
            members: run folders, at least one, and ``.parquet`` and ``.csv`` files (``score_files``).
            data: a shard, a folder of shards, or a glob, on a disk or at an address.
            weights: one per member; none for equal weights.
            kind: "probability" or "logit", as in ``average``.
            accelerator, precision: as of ``compute.choose_compute``.
            skip_bad: skip bad records and warn about them.
            allow: names of fatal data checks (``data/checks.py``) that do not stop the ensemble.
            group: the processes that divide the work.
            progress: progress callback.

        Raises:
            UserError: no member is a run folder, members have different labels, or as ``open_run_data``,
                ``open_score_file`` and ``average``.
        """
        runs = [Run.open(member) for member in members if not is_score_file(member)]
        if not runs:
            raise UserError("no run among the members", advice="Add a run folder.")
        for run in runs[1:]:
            if not run.vocabulary.fits(runs[0].vocabulary):
                raise UserError("other labels", where=str(run.path), expected=f"those of {runs[0].path}")
        num_classes = runs[0].facts.num_classes
        run_videos = [open_run_data(run, data, skip_bad=skip_bad, group=group, progress=progress) for run in runs]
        if group.is_first:
            for run, videos in zip(runs, run_videos, strict=True):
                check_features(run, videos, allow)
        compute = choose_compute(accelerator, precision)
        opened: dict[str, VideoClassifier | Scorer] = {}
        identity: list[Any] = [kind, list(weights), compute_identity(compute), videos_identity(run_videos[0])]
        for member in members:
            if is_score_file(member):
                identity.append([str(member), astuple(FileState.of(member.stat()))])
                opened[str(member)] = open_score_file(member, run_videos[0], num_classes, runs[0].vocabulary)
            else:
                run = Run.open(member)
                identity.append(run_identity(run))
                opened[str(member)] = run.load_model(compute.device)
        if len(opened) < len(members):
            raise UserError("duplicate member", advice="Use --weights to weight a member.")
        weights = weights or [1.0] * len(members)
        return cls(run_videos[0], num_classes, opened, weights, kind, runs[0].vocabulary, compute, identity)

    @property
    def notes(self) -> list[str]:
        """A sentence on each member whose scores are incomplete."""
        listed = {name: member.note for name, member in self.members.items() if isinstance(member, ListedScores)}
        return [f"member {name} {note}" for name, note in listed.items() if note]

    def score(
        self,
        batches: Batches | None = None,
        callback: Callable[[Batch, list[Tensor], Tensor], None] | None = None,
    ) -> Iterator[tuple[Batch, Tensor]]:
        """Yield batches, without their frames, with the ensemble's probabilities [B, C] on the device.

        Args:
            batches: positions of the videos of each batch; default: all videos.
            callback: called with each batch, the members' probabilities [B, C] and the ensemble's.
        """
        models = [member for member in self.members.values() if isinstance(member, VideoClassifier)]

        def score_models(frames: Tensor, num_frames: Tensor) -> tuple[Tensor, ...]:
            return tuple(model(frames, num_frames)[0].p for model in models)

        if batches is None:
            batches = ordered_batches(len(self.videos), BATCH_SIZE)
        for batch, probabilities in self.compute.map(score_models, self.videos, batches):
            of_models = iter(probabilities)
            scores = [
                next(of_models) if isinstance(member, VideoClassifier) else member(batch).to(self.compute.device)
                for member in self.members.values()
            ]
            mean = average(scores, self.weights, self.kind)
            if callback is not None:
                callback(batch, scores, mean)
            yield batch, mean

    def compare(self) -> Comparison:
        """Return a callback for ``score`` that computes metrics and diversity."""
        is_labeled = bool(self.videos.is_labeled.any())
        return Comparison([*self.members], self.num_classes, self.compute.device, is_labeled=is_labeled)

    def run(self, output: Path | None = None, *, group: Group = ALONE, progress: Progress = silent) -> Comparison:
        """Score all videos in parts, and write the ensemble's predictions.

        Args:
            output: the file to write, ``.csv`` or ``.parquet``; None for the metrics only.
            group: the processes that divide the work; each returns the result of all.
            progress: progress callback.

        Returns:
            Metrics and diversity.
        """
        if output is not None:
            check_output(output)

        def write(batches: Batches, folder: Path, count: Count) -> None:
            comparison = self.compare()

            def counted() -> Iterator[tuple[Batch, Tensor]]:
                for batch, mean in self.score(batches, comparison):
                    yield batch, mean
                    count(len(batch.videos))

            if output is None:
                for _ in counted():
                    pass
            else:
                write_predictions(counted(), self.videos, folder / output.name, vocabulary=self.vocabulary)
            comparison.save(folder / STATE)

        identity = ["ensemble", "" if output is None else output.name, *self.identity]
        folder = workspace() / "parts" / digest(identity, 24) if output is None else parts_folder(output, identity)
        comparison, progress = self.compare(), group.watch(progress)
        with shared_lock(folder, "ensemble", group, progress):
            parts = score_parts(folder, len(self.videos), write, group, progress)
            for path in parts.paths:
                comparison.add(path / STATE)
            if output is not None and group.is_first:
                join_predictions([path / output.name for path in parts.paths], output)
            parts.remove(group)
        return comparison
