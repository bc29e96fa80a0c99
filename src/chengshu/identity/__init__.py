"""Who is who: participant ids, the trust list, this node's key, and tokens that prove a sender."""
