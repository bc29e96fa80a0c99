"""Moving data under an agreement: one grant for one job, one product, one recipient, once."""
