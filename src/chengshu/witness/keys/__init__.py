"""Where a witness's keys are kept."""
