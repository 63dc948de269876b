"""Pure functions under the learners of this package: statistics, spectra, objectives with their gradients."""
