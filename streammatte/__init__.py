"""streammatte: real-time video matting."""
