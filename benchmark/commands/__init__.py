"""The verbs of the command line, one file or folder each."""
