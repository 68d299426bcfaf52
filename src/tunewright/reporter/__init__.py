"""Reports: one view of a run or tuning folder, one tree of what to say about it, drawn as HTML, text and Markdown."""
