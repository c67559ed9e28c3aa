"""What a cluster remembers of releases: the record of each, who is at work, what they need."""
