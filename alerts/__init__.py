"""Alert rules for bandwidth-voice-exporter."""
