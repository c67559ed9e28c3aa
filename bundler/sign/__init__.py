"""Keys, envelopes and trust policies, and the only door to an authenticated bundle."""
