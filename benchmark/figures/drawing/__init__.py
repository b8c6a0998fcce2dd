"""What figures share: bodies, strips of frames, colours."""
