"""From text to a matrix of tokens: documents, tokenizer, packing, nested training sets."""
