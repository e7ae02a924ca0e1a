//! Driver guests under the stock implementation of WASI: see `tests/`.
