"""SAM 3: the outlines of all that a noun names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoTokenizer

from streammatte.errors import ModelError, first_line
from streammatte.frame import Frame
from streammatte.prompts.hub import check_folder
from streammatte.prompts.loading import device_of, load, report_of, shown
from streammatte.prompts.words import understood, which
from streammatte.subject import Subject

__all__ = ["Sam3Prompter"]

_KINDS = ("sam3", "sam3_video")
_MEAN = _STD = 0.5
_VOCABULARIES = ("tokenizer.json", "vocab.json")
_SURE = 0.5
"""Of what it is surer of than this it says that it is there."""


class Sam3Prompter:
    """The outline of what a text names (port `Prompter`): of all of these, or of the one that is leftmost, largest, ...

    Carion et al., SAM 3: Segment Anything with Concepts, 2025 (arXiv:2511.16719). `folder` is as `transformers` saves
    it. Raises ConfigError, ModelError.
    """

    outlines = True

    def __init__(self, folder: Path, wish: Subject, *, name: str, licence: str) -> None:
        check_folder(folder, _KINDS, "--subject with words")
        self._model = load(folder, "Sam3Model")
        noun, self._order = understood(wish.words)
        self._side_px = int(self._model.config.image_size)
        self._words = self._read(folder, noun)
        self.report = report_of(self._model, folder, name, licence)

    def _read(self, folder: Path, noun: str) -> dict[str, torch.Tensor]:
        """The noun as the network takes it, cut to the length that it knows."""
        most = self._model.config.text_config.max_position_embeddings
        if not any((folder / name).is_file() for name in _VOCABULARIES):  # it would be taken for an empty one
            raise ModelError(
                f"{folder}: its vocabulary is missing: expected {' or '.join(_VOCABULARIES)} beside the weights"
            )
        try:
            tokens = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            given = tokens(noun, padding="max_length", max_length=most, truncation=True, return_tensors="pt")
        except Exception as error:  # tokenizers' own
            raise ModelError(f"{folder}: its vocabulary cannot be read: {first_line(error)}") from error
        device = device_of(self._model)
        return {key: given[key].to(device) for key in ("input_ids", "attention_mask")}

    def region(
        self, frame: Frame, pha: npt.NDArray[np.float32], place: tuple[float, float] | None
    ) -> npt.NDArray[np.float32] | None:
        """See port `Prompter`; `pha` and `place` do not matter."""
        pixels = shown(frame, self._side_px, _MEAN, _STD).to(device_of(self._model))
        with torch.inference_mode():
            answer = self._model(pixel_values=pixels, **self._words)
        # (pictures, candidates) and (pictures, 1): whether it is this one, and whether there is one at all
        sure = (answer.pred_logits[0].sigmoid() * answer.presence_logits[0].sigmoid()).cpu().numpy()
        masks = answer.pred_masks[0].sigmoid().cpu().numpy()[sure > _SURE]
        if not len(masks):
            return None
        return np.asarray(masks[which(self._order, masks)] if self._order else masks.max(axis=0), np.float32)
