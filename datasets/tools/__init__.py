"""Tools that all packages share: files, workers, isolated environments, safe pickles."""
