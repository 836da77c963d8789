"""The base of all packages: records, configs, steps, files, the unit of text, the ledger and the engine that they share."""
