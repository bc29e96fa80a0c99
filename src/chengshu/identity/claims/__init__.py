"""The Decentralized Claims Protocol 1.0: documents of identifiers, signed claims, presentations, and what they are believed for."""
