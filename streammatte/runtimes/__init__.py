"""Libraries that run networks (port `Runtime`)."""
