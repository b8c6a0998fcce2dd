"""Cosmos's video tokenizers and diffusion decoder."""
