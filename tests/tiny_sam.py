"""SAM 2 and SAM 3 of the library's own classes, as small as they go, with weights by chance; needs transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

__all__ = ["SIDE_2_PX", "SIDE_3_PX", "save_sam2", "save_sam3"]

SIDE_2_PX, SIDE_3_PX = 64, 56
_SMALL = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16, "num_layers": 1}
_VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "dog": 2, "red": 3, "leftmost": 4}


def _lively(model: Any) -> Any:
    """`model` with weights so large that its answers differ: the library's own chance says 0.5 of everything."""
    for each in model.parameters():
        if each.dim() > 1:
            torch.nn.init.normal_(each, std=each[0].numel() ** -0.5)
    return model


def save_sam2(folder: Path) -> Path:
    """Takes pictures of 64 pixels, says outlines of 16."""
    torch.manual_seed(5)
    hiera = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [SIDE_2_PX, SIDE_2_PX],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 1, 1],
        "window_size_per_stage": [8, 4, 4, 4],
        "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [2, 2],
    }
    config = transformers.Sam2Config(
        vision_config={
            "backbone_config": hiera,
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": 16,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": SIDE_2_PX, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16,
            "mlp_dim": 16,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
            "num_hidden_layers": 1,
        },
    )
    _lively(transformers.Sam2Model(config)).save_pretrained(folder)
    return folder


def save_sam3(folder: Path) -> Path:
    """Takes pictures of 56 pixels and words out of five, says five outlines of 16."""
    torch.manual_seed(5)
    vit = {
        "model_type": "sam3_vit_model",
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": SIDE_3_PX,
        "pretrain_image_size": SIDE_3_PX // 2,
        "window_size": 2,
        "global_attn_indexes": [0],
    }
    text = {
        "model_type": "clip_text_model",
        "vocab_size": len(_VOCABULARY),
        "hidden_size": 16,
        "intermediate_size": 16,
        "projection_dim": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 6,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }
    config = transformers.Sam3Config(
        vision_config={
            "backbone_config": vit,
            "fpn_hidden_size": 16,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        text_config=text,
        geometry_encoder_config=_SMALL,
        detr_encoder_config=_SMALL,
        detr_decoder_config=_SMALL | {"num_queries": 5},
        mask_decoder_config={"hidden_size": 16, "num_attention_heads": 2},
    )
    _lively(transformers.Sam3Model(config)).save_pretrained(folder)
    tokens = Tokenizer(models.WordLevel(_VOCABULARY, unk_token="[UNK]"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokens, unk_token="[UNK]", pad_token="[PAD]")
    fast.save_pretrained(folder)
    return folder
