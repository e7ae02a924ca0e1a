//! Drivers against a broker of the tests.
