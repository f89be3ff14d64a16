//! Whether the version says as much as the interface has changed since the last release.
//!
//! Judged on the texts in `docs/api`, of this commit and of the last release's tag. A line that is
//! gone breaks somebody; so does an addition that users have to follow: a method in a trait, a
//! variant of an enum they may match, a field of a struct they may build. That some of these break
//! nobody (a method with a default) a text cannot tell; then the version is raised a little early.

use std::collections::BTreeMap;

use crate::release::Release;
use crate::release::api::{is_item, kept_name};
use crate::release::changelog::Version;
use crate::release::output::committed;
use crate::release::table::Outcome;
use crate::release::tools::stdout_of;
use crate::release::tree::{released, tags};
use crate::runner::Line;

/// How many lines of a breach are shown.
const SHOWN: usize = 40;

/// The lines that two texts do not share, each in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) removed: Vec<String>,
    pub(crate) added: Vec<String>,
}

/// What became of an interface. The order of lines means nothing.
pub(crate) fn changes(old: &str, new: &str) -> Changes {
    let items = |text: &str| -> Vec<String> {
        text.lines().map(str::trim_end).filter(|line| is_item(line)).map(str::to_owned).collect()
    };
    let (old, new) = (items(old), items(new));
    let missing = |these: &[String], there: &[String]| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for line in there {
            *counts.entry(line).or_default() += 1;
        }
        let mut left = Vec::new();
        for line in these {
            match counts.get_mut(line.as_str()) {
                Some(count) if *count > 0 => *count -= 1,
                _ => left.push(line.clone()),
            }
        }
        left
    };
    Changes { removed: missing(&old, &new), added: missing(&new, &old) }
}

/// How far a version has to be raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bump {
    Patch,
    Minor,
    Major,
}

impl Bump {
    /// What `to` is, coming from `from`, to whoever follows the rules of cargo: before 1.0 the
    /// second number counts as the first one does later.
    fn between(from: Version, to: Version) -> Self {
        let zero = from.major == 0 && to.major == 0;
        if to.major != from.major || (zero && to.minor != from.minor) {
            Self::Major
        } else if to.minor != from.minor || zero {
            // Before 1.0 the third number is all that additions get.
            Self::Minor
        } else {
            Self::Patch
        }
    }
}

/// What the changes of an interface ask for, with the lines that break.
fn asked(old: &str, changes: &Changes) -> (Bump, Vec<String>) {
    let mut breaking: Vec<String> =
        changes.removed.iter().map(|line| format!("- {line}")).collect();
    let followed = changes.added.iter().filter(|line| must_be_followed(old, line));
    breaking.extend(followed.map(|line| format!("+ {line}")));
    let bump = if !breaking.is_empty() {
        Bump::Major
    } else if !changes.added.is_empty() {
        Bump::Minor
    } else {
        Bump::Patch
    };
    (bump, breaking)
}

/// Whether an addition is to something that users implement, match or build, and that was there.
fn must_be_followed(old: &str, added: &str) -> bool {
    let Some((kind, path)) = item(added) else { return false };
    let Some((parent, _)) = path.rsplit_once("::") else { return false };
    old.lines().filter_map(item).any(|(owner, name)| {
        name == parent
            && match owner {
                Kind::Trait => true,
                // What is marked so is neither matched nor built outside without a rest.
                Kind::Data { open } => kind == Kind::Field && !open,
                // A variant with named fields.
                Kind::Field => kind == Kind::Field,
                Kind::Other => false,
            }
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Trait,
    /// An enum or a struct; an open one says `#[non_exhaustive]`.
    Data {
        open: bool,
    },
    /// A field or a variant: what has no word before its name.
    Field,
    Other,
}

/// The kind and the path of what a line declares: `pub fn a::B::c(&self) -> u8` is another thing
/// at `a::B::c`. Implementations declare nothing that can be followed.
fn item(line: &str) -> Option<(Kind, &str)> {
    let open = line.contains("#[non_exhaustive]");
    let (_, rest) = line
        .split_once("pub ")
        .filter(|(before, _)| before.is_empty() || before.trim_end().ends_with(']'))?;
    let mut kind = Kind::Field;
    let mut rest = rest;
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        kind = match word {
            "trait" => Kind::Trait,
            "enum" | "struct" => Kind::Data { open },
            "unsafe" | "async" | "const" | "auto" | "extern" | "dyn" => kind,
            "fn" | "mod" | "type" | "static" | "use" | "union" | "macro" | "proc" => Kind::Other,
            _ => break,
        };
        if word == "const" && !after.starts_with("fn ") && !after.starts_with("unsafe ") {
            kind = Kind::Other;
        }
        rest = after;
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':' || c == '#'));
    let path = end.map_or(rest, |end| rest.get(..end).unwrap_or(rest));
    Some((kind, path.trim_end_matches(':')))
}

/// The step: the version compared with the last one released.
pub(crate) fn step(release: &Release) -> Outcome {
    judge(release).into()
}

fn judge(release: &Release) -> Result<Outcome, String> {
    let earlier = released(&tags(&release.root)?);
    let Some(last) = earlier.into_iter().filter(|v| *v < release.version).max() else {
        return Ok(Outcome::Passed("first release, nothing to compare with".to_owned()));
    };
    let now = release.version;
    let raised = Bump::between(last, now);
    let mut breaches = Vec::new();
    for krate in release.published() {
        let name = kept_name(krate);
        let at_tag = Line::new("git").args(["show".to_owned(), format!("v{last}:{name}")]);
        // A crate that had no interface then is new, and breaks nobody.
        let Ok(old) = stdout_of(&at_tag, &release.root) else { continue };
        let (asked, lines) = asked(&old, &changes(&old, &committed(&release.root, &name)?));
        if asked > raised {
            let shown = lines.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
            breaches.push(format!("{} asks for more than {last} to {now}:\n{shown}", krate.name));
        }
    }
    if breaches.is_empty() {
        Ok(Outcome::Passed(format!("what changed since {last} fits {now}")))
    } else {
        Err(format!("{now} is not enough after {last}\n{}", breaches.join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "# a comment\n\
        pub mod a\n\
        #[non_exhaustive] pub enum a::Open\n\
        pub a::Open::One\n\
        pub enum a::Closed\n\
        pub a::Closed::One\n\
        pub a::Closed::One::x: u8\n\
        pub struct a::Plain\n\
        pub a::Plain::x: u8\n\
        #[non_exhaustive] pub struct a::Grows\n\
        pub trait a::Port: core::marker::Send\n\
        pub fn a::Port::ask(&self)\n\
        pub fn a::free(u8) -> u8\n";

    fn with(addition: &str) -> (Bump, Vec<String>) {
        asked(OLD, &changes(OLD, &format!("{OLD}{addition}\n")))
    }

    fn bump(from: &str, to: &str) -> Bump {
        let version = |text| Version::parse(text).expect("a version");
        Bump::between(version(from), version(to))
    }

    #[test]
    fn comments_and_order_are_no_change() {
        let turned: Vec<&str> = OLD.lines().rev().collect();
        assert_eq!(changes(OLD, &turned.join("\r\n")), Changes::default());
        assert_eq!(asked(OLD, &Changes::default()), (Bump::Patch, vec![]));
    }

    #[test]
    fn a_line_that_is_there_twice_counts_twice() {
        let changes = changes("pub fn f()\npub fn f()\n", "pub fn f()\n");
        assert_eq!((changes.removed.len(), changes.added.len()), (1, 0));
    }

    #[test]
    fn what_is_gone_or_changed_breaks() {
        let new = OLD.replace("free(u8)", "free(u16)");
        let (bump, lines) = asked(OLD, &changes(OLD, &new));
        assert_eq!(bump, Bump::Major);
        assert_eq!(lines, ["- pub fn a::free(u8) -> u8"]);
    }

    #[test]
    fn additions_are_minor() {
        for addition in [
            "pub fn a::other()",
            "pub const fn a::Plain::new() -> a::Plain",
            "pub const a::Plain::MAX: u8",
            "pub a::Open::Two",
            "pub a::Grows::y: u8",
            "pub enum a::New",
            "pub a::New::One",
            "pub trait a::Other",
            "pub fn a::Other::ask(&self)",
            "impl core::clone::Clone for a::Plain",
        ] {
            assert_eq!(with(addition), (Bump::Minor, vec![]), "{addition}");
        }
    }

    #[test]
    fn what_users_must_follow_breaks() {
        for addition in [
            "pub a::Closed::Two",
            "pub a::Closed::Three(u8)",
            "pub a::Closed::One::y: u8",
            "pub a::Plain::y: u8",
            "pub fn a::Port::tell(&self)",
            "pub async fn a::Port::wait(&self)",
            "pub type a::Port::Item",
        ] {
            let (bump, lines) = with(addition);
            assert_eq!((bump, lines.len()), (Bump::Major, 1), "{addition}");
        }
    }

    #[test]
    fn before_one_the_second_number_is_the_first() {
        assert_eq!(bump("0.1.0", "0.2.0"), Bump::Major);
        assert_eq!(bump("0.1.0", "0.1.1"), Bump::Minor);
        assert_eq!(bump("0.9.0", "1.0.0"), Bump::Major);
        assert_eq!(bump("1.0.0", "1.0.1"), Bump::Patch);
        assert_eq!(bump("1.0.0", "1.1.0"), Bump::Minor);
        assert_eq!(bump("1.9.0", "2.0.0"), Bump::Major);
    }
}
