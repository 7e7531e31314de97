"""Why a model gives a score: attention, occlusion and attribution."""
