"""SAM 2: the outline of what a point or a box means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from streammatte.frame import Frame
from streammatte.prompts.hub import check_folder
from streammatte.prompts.loading import device_of, load, report_of, shown
from streammatte.subject import Subject

__all__ = ["Sam2Prompter"]

_KINDS = ("sam2", "sam2_video")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CLOSE = 0.1
"""A point may mean a shirt or who wears it: of outlines nearly as good as the best the largest is taken."""


class Sam2Prompter:
    """The outline at a point or in a box (port `Prompter`). Ravi et al., SAM 2: Segment Anything in Images and Videos,
    2024 (arXiv:2408.00714).

    `folder` is as `transformers` saves it, of SAM 2 or 2.1. Raises ConfigError, ModelError.
    """

    outlines = True

    def __init__(self, folder: Path, wish: Subject, *, name: str, licence: str) -> None:
        check_folder(folder, _KINDS, f"--subject {wish.kind}")
        self._model, self._wish = load(folder, "Sam2Model"), wish
        self._side_px = int(self._model.config.prompt_encoder_config.image_size)
        self.report = report_of(self._model, folder, name, licence)

    def region(
        self, frame: Frame, pha: npt.NDArray[np.float32], place: tuple[float, float] | None
    ) -> npt.NDArray[np.float32] | None:
        """See port `Prompter`; it always sees something. After a cut it is asked for what is at `place`."""
        turned = frame.rotation % 180 != 0
        upright = (frame.height, frame.width) if turned else (frame.width, frame.height)
        shares = place or self._wish.shares(*upright)
        device = device_of(self._model)
        asked = {name: value.to(device) for name, value in self._asked(shares).items()}
        pixels = shown(frame, self._side_px, _MEAN, _STD).to(device)
        with torch.inference_mode():
            answer = self._model(pixel_values=pixels, **asked, multimask_output=len(shares) == 2)
        # (pictures, prompts, outlines, h, w) and (pictures, prompts, outlines)
        masks, quality = answer.pred_masks[0, 0].sigmoid().cpu().numpy(), answer.iou_scores[0, 0].cpu().numpy()
        areas = np.where(quality >= quality.max() - _CLOSE, masks.sum(axis=(1, 2)), -1)
        return np.asarray(masks[areas.argmax()], np.float32)

    def _asked(self, shares: tuple[float, ...]) -> dict[str, Any]:
        """A point or a box, in parts of the picture, in the pixels of the square that the network sees."""
        if len(shares) == 2:
            points = torch.tensor(shares, dtype=torch.float32) * self._side_px
            return {"input_points": points[None, None, None], "input_labels": torch.ones((1, 1, 1), dtype=torch.int64)}
        left, top, wide, high = shares
        box = torch.tensor([left, top, min(left + wide, 1), min(top + high, 1)], dtype=torch.float32)
        return {"input_boxes": box[None, None] * self._side_px}
