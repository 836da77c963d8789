"""Byte-level BPE vocabularies (GPT-2's kind: Llama 3, Qwen, SmolLM2): read, extended with Chinese, checked, used and exported."""
