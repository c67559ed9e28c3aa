"""What is outside of this process: the one place with subprocess and the one place with HTTP."""
