"""Tests of the reports that a run writes, and of the command that reads them."""
