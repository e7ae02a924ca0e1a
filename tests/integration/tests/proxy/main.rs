//! `fumehood proxy` as programs meet it.
#![allow(clippy::unwrap_used, reason = "a test")]
