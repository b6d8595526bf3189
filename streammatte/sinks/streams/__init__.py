"""Live streams: who is connected, what they are sent, and how connections are made and made again."""
