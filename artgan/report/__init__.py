"""HTML pages that stand alone: one file, pictures and curves inside, no network."""
