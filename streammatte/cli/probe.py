"""`streammatte probe INPUT`: what the input is, as streammatte sees it."""

from __future__ import annotations

import json
from typing import Any

import click

from streammatte.assembly import open_input
from streammatte.cli.screen import say
from streammatte.config import Settings
from streammatte.frame import StreamInfo

__all__ = ["probe"]


@click.command()
@click.argument("source", metavar="INPUT")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def probe(source: str, as_json: bool) -> None:
    """Say what INPUT is: size, pixel format, colour, time base, other streams."""
    opened = open_input(source, Settings())
    facts = _facts(opened.info)
    opened.close()
    if as_json:
        say(json.dumps(facts, ensure_ascii=False))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        say(f"{name:<{width}}  {value}")


def _facts(info: StreamInfo) -> dict[str, Any]:
    spec = info.color.resolved(info.format.model, info.height)
    return {
        "name": info.name,
        "container": info.container,
        "codec": info.codec,
        "size": f"{info.width}x{info.height}",
        "sample_aspect_ratio": str(info.sar),
        "rotation": info.rotation,
        "pixel_format": info.format.name,
        "alpha": info.has_alpha,
        "matrix": spec.matrix,
        "primaries": spec.primaries,
        "transfer": spec.transfer,
        "range": "full" if spec.full_range else "limited",
        "hdr": spec.hdr,
        "interlaced": info.interlaced,
        "time_base": str(info.time_base),
        "rate": None if info.rate is None else str(info.rate),
        "frames": info.frame_count,
        "duration_s": info.duration_s,
        "live": info.live,
        "passing_streams": [index for index, _ in info.passthrough],
        "left_out": list(info.not_carried),
    }
