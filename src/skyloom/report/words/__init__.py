"""The Chinese texts of the pages: of the run page, of the corpus' stages and reasons, of the audit's verdicts."""
