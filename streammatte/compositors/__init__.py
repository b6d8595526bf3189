"""Ways to put the subject over the background beside the plain one (`compositor.composite`)."""
