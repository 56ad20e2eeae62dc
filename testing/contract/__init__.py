"""What `chatkeep.domain.ports` promises, as tests of a store, whichever it is."""
