"""Estimates of the subject's own colour (port `Foreground`)."""
