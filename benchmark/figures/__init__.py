"""The paper's figures: one file each, with a module attribute ``FIGURE``."""
