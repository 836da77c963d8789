"""The page of an evaluation that is not part of a run."""
