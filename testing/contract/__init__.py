"""Tests of what `chatkeep.domain.ports` promises. They take a store, from any adapter."""
