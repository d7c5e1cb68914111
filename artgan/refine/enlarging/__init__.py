"""Enlarging: a network that is fitted to the works of a collection, and the classical ways under their own names."""
