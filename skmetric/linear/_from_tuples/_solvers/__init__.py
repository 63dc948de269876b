"""What the learners from tuples minimise, and how."""
