"""Training: recipes, data and the loop around the model. The only folder that knows Lightning."""
