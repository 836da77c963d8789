"""Documents and a tokenizer to token shards, and token shards and a plan to batches (report 2.1; docs/design.md, contract 6)."""
