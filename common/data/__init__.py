"""Files, pictures, sound and text on their way into batches; knows no corpus of any paper."""
