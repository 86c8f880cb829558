"""Models of this package for `transformers`: importing this module makes AutoModelForMaskedLM know
them.

Needs the extra `hf`. No remote code is involved: the classes are here.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForMaskedLM, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput

from attractor.adapters.published import MODEL_TYPE
from attractor.model.ddit import DDiT, Rotary, TimestepEmbedder


class AttractorConfig(PretrainedConfig):
    """Shape of the network and the noise it was trained under, as `attractor push` writes them."""

    model_type = MODEL_TYPE

    def __init__(
        self,
        vocab_size: int = 512,
        hidden_size: int = 256,
        n_blocks: int = 8,
        n_heads: int = 8,
        cond_dim: int = 128,
        seq_len: int = 128,
        process: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.vocab_size, self.hidden_size, self.n_blocks = vocab_size, hidden_size, n_blocks
        self.n_heads, self.cond_dim = n_heads, cond_dim
        self.seq_len, self.process = seq_len, process
        super().__init__(**kwargs)


class AttractorForMaskedLM(PreTrainedModel):
    """The diffusion transformer; `timesteps` are noise levels sigma, 0 for clean text."""

    config_class = AttractorConfig
    base_model_prefix = "backbone"

    def __init__(self, config: AttractorConfig) -> None:
        super().__init__(config)
        self.backbone = DDiT(
            config.vocab_size,
            config.hidden_size,
            config.n_blocks,
            config.n_heads,
            config.cond_dim,
            dropout=0.0,
        )
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Fill the tables that are not saved: transformers makes a model without memory and gives
        it some that holds anything. The weights have been initialised or come from a file."""
        if isinstance(module, Rotary):
            table = module.get_buffer("inv_freq")
            table.copy_(Rotary(2 * len(table)).get_buffer("inv_freq"))
        if isinstance(module, TimestepEmbedder):
            module.get_buffer("frequencies").copy_(TimestepEmbedder(1).get_buffer("frequencies"))

    def forward(
        self,
        input_ids: Tensor,
        timesteps: Tensor | None = None,
        labels: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> MaskedLMOutput:
        """Logits, (B, L, V), and with `labels` their cross-entropy; labels of -100 do not count.

        Raises:
            ValueError: if an attention mask hides a token: the model has seen whole rows only.
        """
        if attention_mask is not None and not attention_mask.bool().all():
            raise ValueError(
                "attention_mask hides tokens, and the model knows no padding: give rows of one "
                "length"
            )
        sigma = timesteps
        if sigma is None:
            sigma = torch.zeros(len(input_ids), device=input_ids.device)
        # Weights in half precision multiply as such; norms and the noise level stay in float32.
        with torch.autocast(input_ids.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits = self.backbone(input_ids, sigma)
        loss = None if labels is None else F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return MaskedLMOutput(loss=loss, logits=logits)


AutoConfig.register(MODEL_TYPE, AttractorConfig, exist_ok=True)
AutoModelForMaskedLM.register(AttractorConfig, AttractorForMaskedLM, exist_ok=True)
