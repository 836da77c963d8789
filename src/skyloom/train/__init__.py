"""From batches to checkpoints: the two-stage training of report 2.1, watched on held-out sets as in report 2.2."""
