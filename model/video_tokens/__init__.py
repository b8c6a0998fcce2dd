"""Videos as token ids: what a codec is (`codec`), the built-in ones, and clients of Cosmos's."""
