"""Procedural human motion: how the built-in dataset (`datasets.adapters.embedded`) moves.

The flow of one sequence: an action gives joint angles in anatomical terms (`locomotion`,
`whole_body`, `arms`, `sport`, `dance`), `anatomy` turns them into joint rotations within
the limits of human joints, `compose` blends one to three actions, and `ground` lets the planted
feet carry the body. A new action is one function and one line in its family's ``ACTIONS``.
"""
