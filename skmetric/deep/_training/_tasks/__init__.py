"""What is learned from: labels, grades, or pairs and triplets."""
