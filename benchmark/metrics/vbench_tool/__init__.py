"""VBench's measurements of generated videos, made by the PyPI package in an environment of its own.

Huang et al., "VBench: Comprehensive Benchmark Suite for Video Generative Models" (CVPR 2024). The
six dimensions of the paper's table 9 are this package's, version 1, though the paper cites
VBench-2.0, which has none of them. Weights are the user's own
(`benchmark.metrics.vbench_tool.weights`); nothing is ever downloaded. `benchmark.metrics.vbench`
makes columns of the values.
"""
