"""From a model folder to pictures."""
