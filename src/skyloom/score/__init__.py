"""From a model and text to losses and to text: the one loss that training, evaluation and leakage tests share."""
