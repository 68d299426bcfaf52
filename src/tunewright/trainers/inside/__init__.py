"""What runs inside another trainer's interpreter, and needs nothing but that trainer."""
