"""Motions, bodies, videos and clips: everything that goes into the benchmark.

This is unimo-bench's own package, not Hugging Face's ``datasets``.
"""
