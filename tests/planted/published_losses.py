"""Losses on GSM8K as the report publishes them (arXiv 2310.19341, Table 8), for the tests and benches of the audit's rules."""

from __future__ import annotations

TABLE_8 = {
    "ChatGLM3-6B": (0.99, 0.78, 0.99),
    "MOSS-7B": (1.51, 1.52, 1.49),
    "InternLM-7B": (1.21, 1.12, 1.27),
    "Qwen-7B": (1.07, 0.64, 1.10),
    "Baichuan2-7B": (1.41, 1.42, 1.36),
    "LLaMA-13B": (1.41, 1.42, 1.36),
    "LLaMA2-13B": (1.36, 1.38, 1.33),
    "Xverse-13B": (1.42, 1.43, 1.39),
    "Baichuan-13B": (1.41, 1.42, 1.37),
    "Baichuan2-13B": (1.09, 0.72, 1.12),
    "Qwen-14B": (1.03, 0.42, 1.14),
    "InternLM-20B": (1.20, 1.09, 1.19),
    "Aquila2-34B": (0.78, 0.39, 1.29),
    "Skywork-13B": (1.01, 0.97, 1.00),
}
"""L_test, L_train, L_ref by model, nats per token."""
