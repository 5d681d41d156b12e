"""Self-checks of the chapter `tangent_kernel`."""
