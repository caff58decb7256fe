"""Training of neural language models: texts and a recipe -> a model file."""
