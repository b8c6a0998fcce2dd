"""The baseline tokenizer of SOLAMI: architecture, features, released weights."""
