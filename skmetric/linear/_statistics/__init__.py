"""Statistics of samples that closed forms are made of: scatters, local scatters, inverse square roots."""
