"""Self-checks of the chapter `when_it_fails`."""
