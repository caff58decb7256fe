"""Training of neural language models, from texts and a recipe."""
