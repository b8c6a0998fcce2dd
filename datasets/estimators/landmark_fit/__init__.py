"""SMPL-X motion of a person's landmarks in pictures: a closed-form start, and a fit.

It knows the body, the camera and the landmarks, and nothing of the network that placed them but
their numbers, which are BlazePose's.
"""
