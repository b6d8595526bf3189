"""What only a live run needs: sinks at their own pace, the guard, the governor, control while running."""
