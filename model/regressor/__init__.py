"""The built-in regressor from video to motion: network, training, and the estimator made of it."""
