"""Right solutions as students write them, in several styles; the mutants are made of them."""
