"""Figure 1 of the paper: the slots, the methods that fill them, and the classifier that connects them."""
