"""How a map descends: rows in a unit chosen for them, a first map, L-BFGS or mini-batches."""
