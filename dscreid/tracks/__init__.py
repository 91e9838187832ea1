"""From videos and the output of a tracker to tracklets: readers, filters and crops."""
