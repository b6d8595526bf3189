"""The run report as a page to read: plots, and pictures of the worst moments."""
