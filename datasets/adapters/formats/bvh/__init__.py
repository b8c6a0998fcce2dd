"""BVH files: text, skeleton, names of joints, and orientation of SMPL-X from them."""
