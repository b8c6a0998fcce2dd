"""What all trainings share: loop, configuration, checkpoints, optimisers."""
