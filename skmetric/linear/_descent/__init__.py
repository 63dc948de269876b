"""How a map descends: rows in a unit of their own, a first map, L-BFGS or mini-batches."""
