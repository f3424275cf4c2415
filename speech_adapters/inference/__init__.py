"""From any audio to text or features, however long."""
