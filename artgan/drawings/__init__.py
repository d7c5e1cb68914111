"""Pictures drawn by code alone, with everything that is known about them: what artgan's own feature network learns from."""
