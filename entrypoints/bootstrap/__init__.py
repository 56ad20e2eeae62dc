"""The composition root: only this package chooses adapters, a module for each thing to compose."""
