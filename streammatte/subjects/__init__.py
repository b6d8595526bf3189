"""One subject out of several (port `Selector`)."""
