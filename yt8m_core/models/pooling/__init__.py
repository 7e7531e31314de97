"""The video pooling layer g (section 2.2): frames [B, T, D] and mask [B, T] → one vector [B, d] a video."""
