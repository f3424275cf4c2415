"""The tool: published weights, an index of a folder of videos, queries in words, and why a result matched."""
