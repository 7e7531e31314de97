"""Video pooling g (section 2.2): frames [B, T, D] and mask [B, T] → one vector [B, d] per video."""
