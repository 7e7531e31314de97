"""Loss L (section 2.5): scores [B, C] and targets [B, C] → a scalar and its named parts."""
