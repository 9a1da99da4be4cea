"""What a trained model is worth: each figure with how it was estimated and its error."""
