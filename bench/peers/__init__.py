"""Other servers under a comparable load, in the same run: what a message costs them."""
