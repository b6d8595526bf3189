"""How frames become a network's batch and its output a matte (port `Arithmetic`)."""
