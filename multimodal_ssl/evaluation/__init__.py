"""What is measured of a trained model: retrieval, linear probes, scores of pairs, and pictures of its attention."""
