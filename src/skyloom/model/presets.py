"""Known shapes by name: the report's (Table 3 and appendix A) and small ones that a laptop trains.

A recipe names a preset and may change its vocabulary and context. FFN widths are 8/3 of the hidden width, rounded up to
what vector units like (4 times for the gpt block).
"""

from __future__ import annotations

from skyloom.core.errors import ConfigError
from skyloom.model.config import ModelConfig

PRESETS: dict[str, ModelConfig] = {
    "skywork-13b": ModelConfig(vocabulary=65_536, hidden=4_608, layers=52, heads=36, ffn=12_288),
    "llama2-13b": ModelConfig(vocabulary=32_000, hidden=5_120, layers=40, heads=40, ffn=13_696),
    "llama-7b": ModelConfig(vocabulary=32_000, hidden=4_096, layers=32, heads=32, ffn=11_008, norm_eps=1e-6),
    "gpt-7b": ModelConfig(vocabulary=32_000, hidden=4_096, layers=32, heads=32, ffn=16_384, block="gpt", dropout=0.1),
    "llama-1b": ModelConfig(vocabulary=32_000, hidden=2_048, layers=18, heads=16, ffn=5_504),
    "small-134m": ModelConfig(vocabulary=32_000, hidden=768, layers=12, heads=12, ffn=2_048, context=2_048),
    "small-40m": ModelConfig(vocabulary=16_384, hidden=512, layers=8, heads=8, ffn=1_376, context=1_024),
    "small-13m": ModelConfig(vocabulary=16_384, hidden=256, layers=6, heads=8, ffn=704, context=512),
    "demo-3m": ModelConfig(vocabulary=8_192, hidden=128, layers=4, heads=4, ffn=352, context=256),
}
"""`llama2-13b` carries the report's FFN width of 13,696; appendix A leaves the vocabulary of its 7 B models open, so theirs is
LLaMA's; `demo-3m` learns most in minutes on two CPU cores."""


def preset(name: str) -> ModelConfig:
    """The shape of that name. ConfigError with the valid names if there is none."""
    if name not in PRESETS:
        raise ConfigError(f"no model preset '{name}' (one of: {', '.join(PRESETS)})")
    return PRESETS[name]
