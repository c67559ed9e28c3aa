"""A plan carried out, or taken back: all of it or nothing."""
