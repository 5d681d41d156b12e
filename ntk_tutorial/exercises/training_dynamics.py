"""Self-checks of the chapter `training_dynamics`."""
