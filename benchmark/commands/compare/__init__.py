"""The verb ``compare``: trained checkpoints against each other and the paper."""
