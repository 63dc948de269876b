"""How training starts and proceeds: defaults, the closed form, and what fine-tuning needs."""
