"""Generation with trained models: video to motion, image to video and motion."""
