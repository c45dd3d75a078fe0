"""Tests of the registry of requirements: it agrees with the suite and with the banks of mutants."""
