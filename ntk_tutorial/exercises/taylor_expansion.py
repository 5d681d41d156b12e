"""Self-checks of the chapter `taylor_expansion`."""
