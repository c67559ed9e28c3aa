"""What is there before an install, and what it would change; reads only."""
