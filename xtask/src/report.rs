//! What is printed: progress lines on stderr, tables on stdout.

use std::time::Duration;

/// One line of progress, in cargo's manner.
pub(crate) fn line(what: &str, text: &str) {
    eprintln!("{what:>12} {text}");
}

/// `1.2 s`, `1 min 03 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// `512 B`, `12 KiB`, `3.4 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    let kib = bytes / 1024;
    if kib == 0 {
        return format!("{bytes} B");
    }
    if kib < 1024 {
        return format!("{kib} KiB");
    }
    format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
}

/// Rows under a header, columns as wide as their widest cell.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, title)| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .chain([title.chars().count()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = row_text(&widths, header);
    let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    text.push_str(&row_text(&widths, &rules));
    for row in rows {
        text.push_str(&row_text(&widths, row));
    }
    text
}

fn row_text(widths: &[usize], cells: &[impl AsRef<str>]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let cell = cell.as_ref();
        text.push_str(cell);
        text.push_str(&" ".repeat(width - cell.chars().count() + 2));
    }
    let mut text = text.trim_end().to_owned();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_read_well() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1 KiB");
        assert_eq!(size(1_572_864), "1.5 MiB");
        assert_eq!(duration(Duration::from_millis(1250)), "1.2 s");
        assert_eq!(duration(Duration::from_secs(63)), "1 min 03 s");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![vec!["a".to_owned(), "12345".to_owned()]];
        assert_eq!(
            table(&["name", "n"], &rows),
            "name  n\n────  ─────\na     12345\n"
        );
    }
}
