"""Label processing layer C (section 2.4): scores [B, C] → scores [B, C]."""
