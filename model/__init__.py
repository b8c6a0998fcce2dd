"""The paper's section 3: motion tokenizer, sequence model, training and generation."""
