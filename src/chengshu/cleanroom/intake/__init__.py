"""What a job is given: asked for at its holders, taken in encrypted to the job's own key, and gone with the job."""
