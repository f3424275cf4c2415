"""The tool: published weights, an index of a folder of videos, search in it with words, and why a result matched."""
