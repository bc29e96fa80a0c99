"""The cell that a sealed method runs in: what it may ask the kernel for, who watches over it, and what is told of what it tried."""
