"""The board beside other trackers' pages: 100 runs of 50,000 points, the same for everyone."""
