"""Checks streammatte on this machine's NVIDIA GPU, and times it: one command, a table, a dated JSON.

    pip install -e '.[torch,tensorrt-rtx]'          (and tensorrt, from NVIDIA's index)
    python tools/gpu_check.py [--out docs/benchmarks/DATE-gpu-NAME.json] [--networks u2net ...] [--quick]

It says what is there; measures what the GPU can do at best (memory, products, copies); builds each network for each
runtime and precision, compares it with torch in f32 on the parity pictures, and times it beside eager torch; then runs
the whole way of a frame at 1080p and 4K, everything on the GPU, beside the plain loop on the host. Times are medians
between CUDA events, warm. Exits with 1 where a network is further from f32 than it may be, or nothing could run.

BiRefNet's weights are drawn at random: its mattes are noise, its times are not. `--device cpu --quick` tries the tool
itself where there is no GPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from command import keep, table
from gpu_floor import ceilings
from gpu_frames import frame_path, host_loop
from gpu_networks import networks, rows
from machine import describe

from streammatte.catalog import model as model_named
from streammatte.matter import Matter
from streammatte.nvidia import driver_missing
from streammatte.parity import Difference, limits_of
from streammatte.ports import DeviceSession
from streammatte.weights.cache import locate

_NETWORKS = ("u2net", "birefnet:swin_v1_t", "birefnet:swin_v1_l")
_SIZES = ((1920, 1080), (3840, 2160))


def main() -> None:
    """Everything, printed as it comes."""
    given = _arguments()
    why = driver_missing() if given.device == "cuda" else None
    if why is None and given.device == "cuda" and not torch.cuda.is_available():
        why = f"torch {torch.__version__} cannot use CUDA here"
    if why is not None:
        sys.exit(f"gpu_check: {why}; run it where `nvidia-smi` works (or try it with --device cpu --quick)")
    device = torch.device("cuda", torch.cuda.current_device()) if given.device == "cuda" else torch.device("cpu")
    result: dict[str, Any] = {"machine": describe(), "gpu": _card(device)}
    print(f"{result['gpu']}\n")
    result["best"] = best = ceilings(device, given.quick)
    print(table(["the GPU at best", "measured"], [[name, f"{value:g}"] for name, value in best.items()]), "\n")
    result["networks"] = _networks(given, device, best)
    result["frames"] = _frames(given, device)
    keep(result, given.out)
    sys.exit(0 if _passed(result) else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--networks", nargs="*", metavar="NETWORK", help=f"default: {', '.join(_NETWORKS)}")
    parser.add_argument("--quality", default="balanced", choices=("fast", "balanced", "best"))
    parser.add_argument("--quick", action="store_true", help="small networks, few frames: whether it works at all")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help=argparse.SUPPRESS)
    return parser.parse_args()


def _card(device: torch.device) -> dict[str, Any]:
    if device.type != "cuda":
        return {"name": "none: torch on the CPU", "torch": torch.__version__}
    found = torch.cuda.get_device_properties(device)
    return {
        "name": found.name,
        "compute_capability": f"{found.major}.{found.minor}",
        "memory_gib": round(found.total_memory / 2**30, 1),
        "multiprocessors": found.multi_processor_count,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }


def _networks(given: argparse.Namespace, device: torch.device, best: dict[str, float]) -> list[dict[str, Any]]:
    cached = locate(model_named("u2net"))
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        own = None if cached is None else cached.path
        names = given.networks or (["u2netp"] if given.quick else list(_NETWORKS))
        for subject in networks(names, Path(place), own, 64 if given.quick else None):
            found += rows(subject, Path(place), device, best)
    titles = ["network, runtime, precision", "latency ms", "a second", "of the floor", "max", "p99", "mean", "built s"]
    print(table(titles, [_row(row) for row in found]), "\n")
    for row in found:
        if "why_not" in row:
            print(f"{row['network']}, {row['runtime']} {row.get('precision', '')}: not run: {row['why_not']}")
    return found


def _row(row: dict[str, Any]) -> list[str]:
    keys = ("latency_ms", "per_second", "share_of_floor", "max", "p99", "mean", "built_s")
    name = ", ".join(str(row[key]) for key in ("network", "runtime", "precision") if key in row)
    return [name, *(f"{row[key]:.3g}" if key in row else "" for key in keys)]


def _frames(given: argparse.Namespace, device: torch.device) -> list[dict[str, Any]]:
    """With U²-Net, by the first runtime that takes frames on the device."""
    sizes = ((320, 180),) if given.quick else _SIZES
    count = 8 if given.quick else 200
    # On the CPU, to try the tool: torch, whose sessions take tensors there too.
    runtime = "auto" if device.type == "cuda" else "torch"
    matter = Matter("u2net", runtime=runtime, batch=None)
    try:
        if not isinstance(matter.session, DeviceSession):
            print(f"frames: not run on the device: {matter.info.runtime} computes on the host")
            return []
        found = []
        for size in sizes:
            there = frame_path(matter, given.quality, size, count)
            there |= {"runtime": matter.info.runtime, "precision": matter.info.precision}
            found.append(there | {"host_loop": host_loop(matter, given.quality, size, max(4, count // 20))})
    finally:
        matter.close()
    titles = ["frames of", "a second", "without network, ms", "on the host, a second", "stages, ms"]
    lines = [
        [
            "x".join(map(str, row["size"])),
            f"{row['frames_per_second']:g}",
            f"{row['without_network_ms']:g}",
            f"{row['host_loop']['frames_per_second']:g}",
            ", ".join(f"{name} {taken:g}" for name, taken in row["stages_ms"].items()),
        ]
        for row in found
    ]
    print(table(titles, lines))
    return found


def _passed(result: dict[str, Any]) -> bool:
    """Something ran, and whatever ran is as near to f32 as it is held to."""
    compared = [row for row in result["networks"] if "mean" in row]
    near = (
        Difference(row["mean"], row["p99"], row["max"]).within(limits_of(row["precision"], None)) for row in compared
    )
    return bool(compared) and bool(result["frames"]) and all(near)


if __name__ == "__main__":
    main()
