"""The board: runs seen in a browser, live, from their files alone; it can start work but never owns a run."""
