"""Argument types and formatting shared by the commands."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from yt8m_core.data.schema import parse_streams
from yt8m_core.models.slot import Slot
from yt8m_core.storage.address import check_address, is_address

DataArgument = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
Allowed = Annotated[tuple[str, ...], tyro.conf.arg(metavar="CHECK [CHECK ...]")]
RunArgument = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
Streams = tuple[tuple[str, int], ...]
Accelerator = Annotated[
    Literal["auto", "cpu", "cuda", "mps"] | None,
    tyro.conf.arg(
        metavar="{auto,cpu,cuda,mps}",
        help="Device to compute on; auto is a GPU where there is one. Default: YT8M_ACCELERATOR, or auto.",
    ),
]
Precision = Annotated[
    Literal["float32", "bfloat16"] | None,
    tyro.conf.arg(
        metavar="{float32,bfloat16}", help="Precision of the matrix products. Default: YT8M_PRECISION, or float32."
    ),
]

registry = ConstructorRegistry()


@registry.primitive_rule
def slot_rule(type_info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Slot] | None:
    """Parse a slot from its name and options."""
    if type_info.type is not Slot:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="SLOT",
        instance_from_str=lambda texts: Slot.parse(texts[0]),
        is_instance=lambda value: isinstance(value, Slot),
        str_from_instance=lambda slot: [str(slot)],
    )


@registry.primitive_rule
def streams_rule(type_info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Streams] | None:
    """Parse feature streams written as name:width."""
    if get_origin(type_info.type) is not tuple or get_args(type_info.type) != get_args(Streams):
        return None
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar="[NAME:WIDTH [NAME:WIDTH ...]]",
        instance_from_str=parse_streams,
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda streams: [f"{name}:{width}" for name, width in streams],
    )


def choose_device(accelerator: Accelerator, precision: Precision = None) -> None:
    """Let this process, and those that it starts, compute on a device. Raises UserError where there is none."""
    if not accelerator and not precision:  # torch takes seconds to import
        return
    from yt8m_core.inference.compute import ACCELERATOR, PRECISION, choose_compute

    choose_compute(accelerator or "", precision or "")
    os.environ.update({name: value for name, value in ((ACCELERATOR, accelerator), (PRECISION, precision)) if value})


def absolute(data: str | Path) -> str:
    """Return DATA as an absolute path or glob; an address as it is.

    Raises UserError for an address with a password or a token, which must not be stored.
    """
    if is_address(data):
        return check_address(str(data))
    return os.path.abspath(Path(data).expanduser())


def format_results(metrics: dict[str, Any]) -> str:
    """Return GAP and MAP@K, those of them that there are, with their CIs as text."""
    texts = []
    if "gap" in metrics:
        texts.append(format_gap(metrics))
    if "map_at_k" in metrics:
        low, high = metrics["map_low"], metrics["map_high"]
        texts.append(
            f"MAP@K {metrics['map_at_k']:.4f}, 95% CI [{low:.4f}, {high:.4f}], {metrics['num_ratings']:,} ratings"
        )
    return "; ".join(texts)


def format_gap(metrics: dict[str, float]) -> str:
    """Return GAP, its CI and the number of videos as text.

    >>> format_gap({"gap": 0.7, "gap_low": 0.65, "gap_high": 0.75, "num_videos": 1000})
    'GAP@20 0.7000, 95% CI [0.6500, 0.7500], 1,000 videos'
    """
    low, high = metrics["gap_low"], metrics["gap_high"]
    return f"GAP@20 {metrics['gap']:.4f}, 95% CI [{low:.4f}, {high:.4f}], {metrics['num_videos']:,} videos"
