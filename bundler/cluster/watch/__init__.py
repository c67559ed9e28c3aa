"""How objects stand: whether they are ready, why they are not, and what they answer."""
