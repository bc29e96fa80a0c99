"""Records simulated traffic on real road networks with SUMO; SUMO is needed here and nowhere else."""
