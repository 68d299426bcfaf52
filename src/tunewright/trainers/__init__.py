"""What Tunewright does inside other trainers."""
