//! The bar on a terminal.

use std::io::IsTerminal as _;

use fumehood::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows how far a transfer is, once it takes long enough to have progress.
pub(crate) struct Meter {
    wanted: bool,
    total: Option<u64>,
    bar: Option<ProgressBar>,
}

impl Meter {
    /// `wanted` by the options; without a terminal there is none anyway.
    pub(crate) fn new(wanted: bool) -> Self {
        Meter {
            wanted: wanted && std::io::stderr().is_terminal(),
            total: None,
            bar: None,
        }
    }

    /// The length of what comes, if it is known.
    pub(crate) fn expect(&mut self, total: Option<u64>) {
        self.total = total;
    }

    pub(crate) fn show(&mut self, progress: Progress) {
        if !self.wanted {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| bar(self.total));
        bar.set_position(progress.received.max(progress.sent));
    }

    /// Takes the bar away.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{bar:32.cyan/dim} {percent:>3} %  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left",
        ),
        None => (
            ProgressBar::no_length(),
            "{spinner:.cyan} {binary_bytes}  {binary_bytes_per_sec}",
        ),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    // A template that does not parse would leave the plain bar.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
