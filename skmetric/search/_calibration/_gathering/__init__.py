"""What calibration looks at: matches of queries whose class is known."""
