"""The core room: the nouns, configs, steps, files, the unit of text, the ledger and the engine that all rooms stand on."""
