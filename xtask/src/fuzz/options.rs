//! What was typed behind `cargo xtask fuzz`.

use anyhow::{Context, Result, bail};

/// How long a run takes where nothing is said, in seconds.
const SECONDS: u32 = 60;

/// What to do with a target.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work<'a> {
    Run { seconds: u32, jobs: u32 },
    Merge,
    Minimize { input: &'a str },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options<'a> {
    /// None: list them.
    pub(super) target: Option<&'a str>,
    pub(super) work: Work<'a>,
}

impl<'a> Options<'a> {
    pub(super) fn parse(words: &[&'a str]) -> Result<Self> {
        let Some((&target, words)) = words.split_first() else {
            bail!("name a target: `cargo xtask fuzz list` tells which there are");
        };
        let (mut seconds, mut jobs) = (SECONDS, 1);
        let mut other = None;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--seconds" => seconds = number(word, words.next())?,
                "--jobs" => jobs = number(word, words.next())?,
                "--cmin" => other = Some(Work::Merge),
                "--minimize" => {
                    let input = words.next().context("--minimize needs a file")?;
                    other = Some(Work::Minimize { input });
                }
                word => bail!("`cargo xtask fuzz` has no option `{word}`"),
            }
        }
        if target == super::ALL && other.is_some() {
            bail!("--cmin and --minimize are of one target, and not of all");
        }
        Ok(Self {
            target: (target != "list").then_some(target),
            work: other.unwrap_or(Work::Run { seconds, jobs }),
        })
    }
}

fn number(option: &str, word: Option<&&str>) -> Result<u32> {
    word.and_then(|word| word.parse().ok())
        .filter(|number| *number > 0)
        .with_context(|| format!("{option} needs a number above 0"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn options_are_understood() {
        let options = Options::parse(&["http1", "--seconds", "5", "--jobs", "2"]).unwrap();
        assert_eq!(options.target, Some("http1"));
        let run = Work::Run {
            seconds: 5,
            jobs: 2,
        };
        assert_eq!(options.work, run);
        assert_eq!(Options::parse(&["list"]).unwrap().target, None);
        let minimize = Options::parse(&["tls", "--minimize", "a"]).unwrap();
        assert_eq!(minimize.work, Work::Minimize { input: "a" });
        assert_eq!(
            Options::parse(&["tls", "--cmin"]).unwrap().work,
            Work::Merge
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [
            &[][..],
            &["http1", "--seconds"],
            &["http1", "--seconds", "soon"],
            &["http1", "--jobs", "0"],
            &["http1", "--fast"],
            &["all", "--cmin"],
        ] {
            assert!(Options::parse(words).is_err(), "{words:?}");
        }
    }
}
