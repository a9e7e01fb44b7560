"""How fast the project is, beside what a user would pick instead: `make benchmarks`."""
