"""Shared by all trainings: loop, configuration, checkpoints, optimisers."""
