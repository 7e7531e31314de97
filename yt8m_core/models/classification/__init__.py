"""Classification layer h (section 2.3): vectors [B, d] → scores [B, C]."""
