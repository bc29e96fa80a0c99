"""What witnesses' cosignatures prove: checking them, judging a quorum, and copies of other nodes' logs that only ever grow."""
