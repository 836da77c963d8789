"""What a release says of itself beside its cards: transparency, Croissant, datasheet, bill of materials, citation."""
