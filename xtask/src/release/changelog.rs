//! The notes of a release: one section of the changelog, word for word.

use std::fmt;

/// A version: three numbers, without what may follow them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
}

impl Version {
    /// Reads `1.2.3` or `1.2` (then the last number is 0); nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|n| {
            let digits = !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
            if digits { n.parse::<u64>().ok() } else { None }
        });
        let (major, minor) = (numbers.next()??, numbers.next()??);
        let patch = numbers.next().unwrap_or(Some(0))?;
        if numbers.next().is_some() { None } else { Some(Self { major, minor, patch }) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Which section the notes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The section of the version, with its date.
    Version,
    /// `Unreleased`: the version has no section yet.
    Unreleased,
}

/// The notes of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notes {
    pub(crate) source: Source,
    /// Ends with one line break.
    pub(crate) text: String,
}

/// The notes of `version`, the same for the same changelog.
///
/// # Errors
///
/// A sentence if a heading cannot be read, sections are out of order, or there is nothing to say.
pub(crate) fn notes(changelog: &str, version: Version) -> Result<Notes, String> {
    let sections = sections(changelog)?;
    let section = |wanted: Heading| sections.iter().find(|(heading, _)| *heading == wanted);
    let own = section(Heading::Version(version)).map(|(_, body)| (Source::Version, body));
    let next = section(Heading::Unreleased).map(|(_, body)| (Source::Unreleased, body));
    let (source, body) = own.or(next).ok_or_else(|| {
        format!(
            "CHANGELOG.md has neither a section `## {version} - YYYY-MM-DD` nor `## Unreleased`"
        )
    })?;
    let body = body.trim();
    if body.is_empty() {
        return Err(format!("CHANGELOG.md says nothing about {version}"));
    }
    Ok(Notes { source, text: format!("# Atrion {version}\n\n{body}\n") })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heading {
    Unreleased,
    Version(Version),
}

/// Every section, the newest first, as they stand in the file.
fn sections(changelog: &str) -> Result<Vec<(Heading, String)>, String> {
    let mut sections: Vec<(Heading, String)> = Vec::new();
    for line in changelog.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            let heading = heading(title).ok_or_else(|| {
                format!(
                    "CHANGELOG.md: `## {title}` is neither `## Unreleased` nor \
                     `## 1.2.3 - YYYY-MM-DD`"
                )
            })?;
            let in_order = match (sections.last().map(|(last, _)| *last), heading) {
                (None, _) | (Some(Heading::Unreleased), Heading::Version(_)) => true,
                (Some(_), Heading::Unreleased) => false,
                (Some(Heading::Version(newer)), Heading::Version(older)) => older < newer,
            };
            if !in_order {
                return Err(format!(
                    "CHANGELOG.md: `## {title}` is out of order; Unreleased comes first, then \
                     the versions from new to old, each once"
                ));
            }
            sections.push((heading, String::new()));
        } else if let Some((_, body)) = sections.last_mut() {
            body.push_str(line.trim_end());
            body.push('\n');
        }
    }
    Ok(sections)
}

/// `Unreleased`, or a version and the day it came out.
fn heading(title: &str) -> Option<Heading> {
    let title = title.trim();
    if title == "Unreleased" || title == "[Unreleased]" {
        return Some(Heading::Unreleased);
    }
    let (version, day) = title.split_once(" - ")?;
    let version = version.strip_prefix('[').and_then(|v| v.strip_suffix(']')).unwrap_or(version);
    if is_day(day.trim()) { Version::parse(version).map(Heading::Version) } else { None }
}

/// `YYYY-MM-DD`, with a month and a day that exist in some year.
fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |part: &str, digits: usize| {
        let all = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        if all { part.parse::<u32>().ok() } else { None }
    };
    let [year, month, day] = parts.as_slice() else { return false };
    let in_range = |n: Option<u32>, top: u32| n.is_some_and(|n| (1..=top).contains(&n));
    number(year, 4).is_some() && in_range(number(month, 2), 12) && in_range(number(day, 2), 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog\nIntro.\n\n## Unreleased\n\n## 0.2.0 - 2027-01-31\n\
                             ### Added\n- b  \n\n## [0.1.0] - 2026-12-01\n- a\n";

    fn version(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }

    #[test]
    fn versions_are_read_and_compared_by_number() {
        assert_eq!(version("1.88"), version("1.88.0"));
        assert!(version("0.10.0") > version("0.9.9"));
        for bad in ["", "1", "1.2.3.4", "1.x", "1.-2", "1.+2", "v1.2.3", "1.2.3-rc.1", " 1.2"] {
            assert_eq!(Version::parse(bad), None, "{bad:?}");
        }
        assert_eq!(version("1.2.3").to_string(), "1.2.3");
    }

    #[test]
    fn the_section_of_the_version_is_taken_and_no_other() {
        let second = notes(CHANGELOG, version("0.2.0")).expect("notes");
        assert_eq!(second.text, "# Atrion 0.2.0\n\n### Added\n- b\n");
        assert_eq!(second.source, Source::Version);
        let first = notes(CHANGELOG, version("0.1.0")).expect("notes");
        assert_eq!(first.text, "# Atrion 0.1.0\n\n- a\n");
    }

    #[test]
    fn line_ends_make_no_difference() {
        let windows = CHANGELOG.replace('\n', "\r\n");
        let v = version("0.2.0");
        assert_eq!(notes(&windows, v), notes(CHANGELOG, v));
    }

    #[test]
    fn a_version_without_a_section_takes_what_is_unreleased() {
        let text = "## Unreleased\n- c\n## 0.1.0 - 2026-12-01\n- a\n";
        let got = notes(text, version("0.2.0")).expect("notes");
        assert_eq!(
            (got.source, got.text.as_str()),
            (Source::Unreleased, "# Atrion 0.2.0\n\n- c\n")
        );
    }

    #[test]
    fn nothing_to_say_is_an_error() {
        assert!(notes(CHANGELOG, version("0.3.0")).is_err_and(|why| why.contains("nothing")));
        assert!(notes("# Changelog\n", version("0.3.0")).is_err_and(|w| w.contains("neither")));
    }

    #[test]
    fn headings_that_cannot_be_read_or_are_out_of_order_are_refused() {
        for (text, named) in [
            ("## 0.1.0\n- a\n", "## 0.1.0"),
            ("## 0.1.0 - soon\n- a\n", "soon"),
            ("## 0.1.0 - 2026-13-01\n- a\n", "2026-13-01"),
            ("## 0.1.0 - 2026-12-01\n## 0.2.0 - 2026-12-02\n", "out of order"),
            ("## 0.1.0 - 2026-12-01\n## 0.1.0 - 2026-12-01\n", "out of order"),
            ("## 0.1.0 - 2026-12-01\n## Unreleased\n", "out of order"),
        ] {
            let why = notes(text, version("0.1.0")).expect_err("refused");
            assert!(why.contains(named), "{text:?}: {why}");
        }
    }
}
