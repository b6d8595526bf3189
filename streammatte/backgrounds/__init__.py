"""What stands behind the subject (port `Background`)."""
