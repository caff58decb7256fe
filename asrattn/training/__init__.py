"""Training with Lightning: LightningModule, data module, callbacks, optimizers, learning-rate schedules, recipes."""
