"""Colour as ITU-T H.273 names it, and the maths between a stream's planes and RGB.

Codes are H.273's own numbers (MatrixCoefficients, ColourPrimaries, TransferCharacteristics); 2 means unspecified.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from streammatte.transfer import (
    TRANSFER_HLG,
    TRANSFER_PQ,
    TRANSFER_SRGB,
    from_light,
    nits_to_pq,
    pq_to_nits,
    to_light,
)

__all__ = [
    "UNSPECIFIED",
    "ChromaLocation",
    "ColorSpec",
    "decode_matrix",
    "encode_matrix",
    "from_sdr",
    "to_sdr",
]

UNSPECIFIED = 2

_LUMA_WEIGHTS = {  # matrix code -> (Kr, Kb), H.273 table 4
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}


class ChromaLocation(Enum):
    """Where a subsampled chroma sample sits (H.273 Chroma420SampleLocType); values are FFmpeg's AVChromaLocation."""

    UNSPECIFIED = 0
    LEFT = 1
    CENTER = 2
    TOP_LEFT = 3
    TOP = 4
    BOTTOM_LEFT = 5
    BOTTOM = 6


@dataclass(frozen=True, slots=True)
class ColorSpec:
    """How a stream's numbers mean colour, as tagged; `resolved` fills in what the tags leave open."""

    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    full_range: bool | None = None
    """True: 0..peak; False: limited ("video") range; None: not tagged."""
    chroma_location: ChromaLocation = ChromaLocation.UNSPECIFIED

    def resolved(self, model: str, height: int) -> ColorSpec:
        """The same with every unspecified code replaced by what players assume.

        `model` is PixelFormat.model. RGB is full range with the identity matrix (0); untagged YUV is BT.709 from
        720 lines up and BT.601 below; untagged primaries and transfer follow BT.709; untagged range is limited.
        """
        if model == "gbr":
            matrix, full = 0, True
        else:
            guess = 1 if height >= 720 else 6
            matrix = guess if self.matrix in (UNSPECIFIED, 0, 3) or self.matrix not in _LUMA_WEIGHTS else self.matrix
            full = bool(self.full_range)
        return ColorSpec(
            matrix=matrix,
            primaries=1 if self.primaries == UNSPECIFIED else self.primaries,
            transfer=1 if self.transfer == UNSPECIFIED else self.transfer,
            full_range=full,
            chroma_location=self.chroma_location,
        )

    @property
    def hdr(self) -> bool:
        """The transfer is PQ or HLG (ITU-R BT.2100)."""
        return self.transfer in (TRANSFER_PQ, TRANSFER_HLG)


def decode_matrix(spec: ColorSpec, bits: int) -> npt.NDArray[np.float32]:
    """The 3x4 matrix that takes code values (Y, Cb, Cr, 1) to non-linear R'G'B' in [0, 1] (H.273, section 8.3).

    `spec` must be resolved. Gray streams use the first column only.
    """
    kr, kb = _LUMA_WEIGHTS[spec.matrix]
    kg = 1.0 - kr - kb
    chroma = np.array(
        [
            [1.0, 0.0, 2 * (1 - kr)],
            [1.0, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg],
            [1.0, 2 * (1 - kb), 0.0],
        ]
    )
    step = float(1 << (bits - 8))
    if spec.full_range:
        scale = np.full(3, 1.0 / ((1 << bits) - 1))
        offset = np.array([0.0, 128 * step, 128 * step])
    else:
        scale = 1.0 / (np.array([219.0, 224.0, 224.0]) * step)
        offset = np.array([16.0, 128.0, 128.0]) * step
    linear = chroma * scale
    return np.hstack([linear, -(linear @ offset)[:, None]]).astype(np.float32)


def encode_matrix(spec: ColorSpec, bits: int) -> npt.NDArray[np.float32]:
    """The 3x4 matrix that takes R'G'B' in [0, 1] and 1 to code values Y, Cb, Cr; the inverse of `decode_matrix`."""
    full = decode_matrix(spec, bits).astype(np.float64)
    inverse = np.linalg.inv(full[:, :3])
    return np.hstack([inverse, -(inverse @ full[:, 3:])]).astype(np.float32)


_BT709_TO_BT2020 = np.array(  # ITU-R BT.2087-0, table 4
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]], dtype=np.float32
)
_BT2020_TO_BT709 = np.linalg.inv(_BT709_TO_BT2020).astype(np.float32)
_SDR_WHITE_NITS = 203.0  # ITU-R BT.2408: diffuse white of HDR reference
_HLG_SDR_GAIN = 0.265  # scene light that HLG codes as 75 %, where BT.2408 puts SDR white

FloatImage: TypeAlias = npt.NDArray[np.float32]


def to_sdr(rgb: FloatImage, spec: ColorSpec) -> FloatImage:
    """The stream's R'G'B' (h, w, 3) as the SDR picture a network was trained on, in [0, 1].

    PQ is brought to diffuse white (BT.2408), rolled off (Reinhard et al. 2002, eq. 4) and re-encoded as sRGB. HLG is
    left as it is: it was made to be watched on SDR screens (BT.2390).
    """
    if spec.transfer != TRANSFER_PQ:
        return np.clip(rgb, 0.0, 1.0)
    light = pq_to_nits(rgb) / _SDR_WHITE_NITS
    white = 1000.0 / _SDR_WHITE_NITS
    rolled = light * (1 + light / white**2) / (1 + light)
    return np.clip(from_light(np.maximum(rolled @ _BT2020_TO_BT709.T, 0.0) * 1.6, TRANSFER_SRGB), 0.0, 1.0)


def from_sdr(rgb: FloatImage, spec: ColorSpec) -> FloatImage:
    """An sRGB picture in [0, 1] as the stream's R'G'B': SDR white at 203 cd/m2 in PQ and at 75 % in HLG (BT.2408)."""
    if not spec.hdr:
        return rgb
    wide = to_light(rgb, TRANSFER_SRGB) @ _BT709_TO_BT2020.T
    if spec.transfer == TRANSFER_PQ:
        return nits_to_pq(wide * _SDR_WHITE_NITS)
    return from_light(np.asarray(wide * _HLG_SDR_GAIN, np.float32), TRANSFER_HLG)
