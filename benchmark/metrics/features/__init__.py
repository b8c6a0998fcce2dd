"""Motion features that FID and diversity are computed on."""
