"""From network to frame resolution (port `Refiner`)."""
