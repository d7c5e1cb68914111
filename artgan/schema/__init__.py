"""Schemas: strict YAML in, checked values out, a sentence for each mistake. Runs are configured by one, looks by another."""
