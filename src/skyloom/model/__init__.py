"""From a config to a module: the decoder of report 3.4, its sizes, its first weights and its map to other programs."""
