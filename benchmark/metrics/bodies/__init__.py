"""Points of the body that pose metrics are computed on, by protocol."""
