"""Clips that sound like an example, found among embeddings; hits that a person accepts or rejects teach a head."""
