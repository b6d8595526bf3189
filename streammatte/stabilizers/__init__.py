"""Steadiness over time (port `Stabilizer`)."""
