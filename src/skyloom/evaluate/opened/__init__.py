"""Any model as the evaluation sees it: opened from a path or a name, with its tokenizer and as a network with a cache."""
