//! What people read, and what programs do: every command prints either.

use serde::Serialize;

/// How a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// One thing: as JSON, or as a sentence.
    pub(crate) fn one<T: Serialize>(
        self,
        value: &T,
        sentence: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        print(&if self.json {
            serde_json::to_string(value)?
        } else {
            sentence()
        })
    }

    /// Many things: as a JSON array, or as a table under a heading.
    pub(crate) fn many<T: Serialize, const N: usize>(
        self,
        heading: [&str; N],
        values: &[T],
        row: impl Fn(&T) -> [String; N],
    ) -> anyhow::Result<()> {
        if self.json {
            return print(&serde_json::to_string(values)?);
        }
        print(&table(heading, values.iter().map(row).collect()))
    }
}

/// Prints a text; a reader that has gone away (`| head`) is no failure. Control characters, which a peer may have sent to
/// steer the terminal, are shown as U+FFFD.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    if !try_print(text)? {
        std::process::exit(0);
    }
    Ok(())
}

/// The same for whoever has more to do; false: the reader has gone away.
pub(crate) fn try_print(text: &str) -> anyhow::Result<bool> {
    use std::io::Write as _;
    let harmless: String = text
        .chars()
        .map(|letter| if letter == '\n' { letter } else { shown(letter) })
        .collect();
    match writeln!(std::io::stdout(), "{harmless}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        result => Ok(result.map(|()| true)?),
    }
}

fn shown(letter: char) -> char {
    if letter.is_control() {
        char::REPLACEMENT_CHARACTER
    } else {
        letter
    }
}

/// A table under a heading; the last column may be of any width.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut lines = vec![heading.map(str::to_owned)];
    lines.extend(
        rows.into_iter()
            .map(|row| row.map(|cell| cell.chars().map(shown).collect())),
    );
    let width: [usize; N] = std::array::from_fn(|column| {
        lines
            .iter()
            .map(|line| line[column].chars().count())
            .max()
            .unwrap_or(0)
    });
    let line = |cells: &[String; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(width)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A moment in the middle of a table; a dash where there is none.
pub(crate) fn moment(milliseconds: i64) -> String {
    match jiff::Timestamp::from_millisecond(milliseconds) {
        Ok(at) if milliseconds != 0 => at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = vec![
            ["é".to_owned(), "1".to_owned()],
            ["long".to_owned(), "22".to_owned()],
        ];
        assert_eq!(table(["NAME", "N"], rows), "NAME  N\né     1\nlong  22");
    }

    #[test]
    fn a_cell_cannot_steer_the_terminal_or_make_a_row() {
        let rows = vec![["\u{1b}[31m\nred".to_owned()]];
        assert_eq!(table(["NAME"], rows), "NAME\n\u{fffd}[31m\u{fffd}red");
    }

    #[test]
    fn a_moment_is_utc() {
        assert_eq!(moment(0), "-");
        assert_eq!(moment(1_763_721_600_000), "2025-11-21T10:40:00Z");
    }
}
