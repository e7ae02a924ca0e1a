//! `fumehood fetch`, the real processes, against servers good and hostile.
#![allow(clippy::unwrap_used, reason = "a test")]

mod configuration;
mod connections;
mod content;
mod drivers;
mod hostile;
mod output;
mod pac;
mod policy;
mod processes;
mod prove;
mod proxies;
mod real;
mod redirects;
mod resume;
mod shown;
mod time;
mod tls;
mod tokens;
mod truncation;
mod uploads;
mod ways;
