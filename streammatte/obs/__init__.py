"""A running OBS, through its WebSocket server: a Media Source that shows what `--to obs` serves, and a look at it."""
