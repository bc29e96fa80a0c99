"""The data plane: data flows that a control plane starts, suspends and ends, and the bytes that go through them."""
