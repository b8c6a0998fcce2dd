"""The verb ``speed``: measures how fast generation, training and scoring are here."""
