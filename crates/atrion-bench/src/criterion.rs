//! Reads what criterion writes beside its text: `new/benchmark.json` names a benchmark,
//! `new/estimates.json` next to it holds the estimates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::figure::Figure;

/// Folders of folders deeper than criterion ever makes.
const DEEPEST: usize = 8;

/// One benchmark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// Nanoseconds of one iteration: the median with its confidence interval.
    pub(crate) nanos: Figure,
    /// Things that one iteration works on, if it says so.
    pub(crate) elements: Option<u64>,
}

impl Estimate {
    /// Nanoseconds for each element of an iteration.
    pub(crate) fn per_element(&self) -> Option<Figure> {
        let elements = self.elements.filter(|n| *n > 0)?;
        Some(self.nanos.times(1.0 / elements as f64))
    }
}

/// All benchmarks by their full name, such as `admit and record/atrion/1`.
pub(crate) type Estimates = BTreeMap<String, Estimate>;

/// The benchmark of this name.
///
/// # Errors
/// A sentence with the names there are.
pub(crate) fn get(all: &Estimates, name: &str) -> Result<Estimate, String> {
    all.get(name).copied().ok_or_else(|| {
        let known: Vec<&str> = all.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        format!("criterion left no estimates of `{name}`; there are {known}")
    })
}

#[derive(Deserialize)]
struct RawBenchmark {
    full_id: String,
    #[serde(default)]
    throughput: Option<RawThroughput>,
}

#[derive(Deserialize)]
enum RawThroughput {
    Elements(u64),
    #[serde(untagged)]
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct RawEstimates {
    median: RawEstimate,
}

#[derive(Deserialize)]
struct RawEstimate {
    point_estimate: f64,
    confidence_interval: RawInterval,
}

#[derive(Deserialize)]
struct RawInterval {
    lower_bound: f64,
    upper_bound: f64,
}

/// Everything that criterion left in this folder.
///
/// # Errors
/// A sentence that names the file, and the field where one is wrong.
pub(crate) fn read(folder: &Path) -> Result<Estimates, String> {
    let mut found = Vec::new();
    walk(folder, DEEPEST, &mut found)?;
    let mut all = Estimates::new();
    for new in found {
        let benchmark: RawBenchmark = parse(&new.join("benchmark.json"))?;
        let file = new.join("estimates.json");
        let estimates: RawEstimates = parse(&file)?;
        let median = estimates.median;
        let interval = median.confidence_interval;
        let nanos = figure(median.point_estimate, interval.lower_bound, interval.upper_bound)
            .map_err(|why| format!("{}: {why}", file.display()))?;
        let elements = match benchmark.throughput {
            Some(RawThroughput::Elements(elements)) => Some(elements),
            Some(RawThroughput::Other(_)) | None => None,
        };
        all.insert(benchmark.full_id, Estimate { nanos, elements });
    }
    Ok(all)
}

/// A median is a time: not negative, and where its interval says.
fn figure(value: f64, low: f64, high: f64) -> Result<Figure, String> {
    for (field, x) in [
        ("median.point_estimate", value),
        ("median.confidence_interval.lower_bound", low),
        ("median.confidence_interval.upper_bound", high),
    ] {
        if !(0.0..f64::INFINITY).contains(&x) {
            return Err(format!("{field} is {x} ns, allowed is 0 and more, finite"));
        }
    }
    Figure::try_new("median", value, low, high).map_err(|e| e.to_string())
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let unreadable = |e: std::io::Error| format!("{} cannot be read: {e}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if !path.is_dir() {
            continue;
        }
        if path.file_name().is_some_and(|name| name == "new") {
            if path.join("benchmark.json").is_file() {
                found.push(path);
            }
        } else if depth > 0 {
            walk(&path, depth - 1, found)?;
        }
    }
    Ok(())
}

fn parse<T: for<'de> Deserialize<'de>>(file: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| format!("{} cannot be read: {e}", file.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    /// The two files as criterion 0.8 writes them, with what nobody reads here left in.
    fn leave(folder: &Folder, path: &str, id: &str, throughput: &str, median: [&str; 3]) {
        let new = folder.path().join(path).join("new");
        std::fs::create_dir_all(&new).expect("a folder");
        let benchmark = format!(
            r#"{{"group_id":"g","function_id":"f","value_str":null,"throughput":{throughput},
                "full_id":"{id}","directory_name":"{path}","title":"{id}"}}"#
        );
        std::fs::write(new.join("benchmark.json"), benchmark).expect("written");
        let one = |[low, value, high]: [&str; 3]| {
            format!(
                r#"{{"confidence_interval":{{"confidence_level":0.95,"lower_bound":{low},
                    "upper_bound":{high}}},"point_estimate":{value},"standard_error":0.1}}"#
            )
        };
        let (mean, median) = (one(["1.0", "2.0", "3.0"]), one(median));
        let estimates =
            format!(r#"{{"mean":{mean},"median":{median},"slope":null,"std_dev":{mean}}}"#);
        std::fs::write(new.join("estimates.json"), estimates).expect("written");
    }

    #[test]
    fn medians_are_found_by_full_name_whatever_the_folders_are_called() {
        let folder = Folder::new("criterion");
        leave(&folder, "a_b/c/1", "a/b/c/1", "null", ["6.9", "7.0", "7.3"]);
        leave(&folder, "wire", "wire", r#"{"Elements":4}"#, ["8.0", "10.0", "12.0"]);
        leave(&folder, "bytes", "bytes", r#"{"Bytes":4}"#, ["8.0", "10.0", "12.0"]);
        std::fs::create_dir_all(folder.path().join("report")).expect("a folder");
        let all = read(folder.path()).expect("valid");
        assert_eq!(all.len(), 3);
        let nanos = get(&all, "a/b/c/1").expect("there").nanos;
        assert_eq!((nanos.value(), nanos.low(), nanos.high()), (7.0, 6.9, 7.3));
        let each = get(&all, "wire").expect("there").per_element().expect("says how many");
        assert_eq!((each.value(), each.low(), each.high()), (2.5, 2.0, 3.0));
        assert_eq!(get(&all, "bytes").expect("there").per_element(), None);
        let why = get(&all, "gone").expect_err("nobody measured it");
        assert!(why.contains("`gone`") && why.contains("a/b/c/1, bytes, wire"), "{why}");
    }

    #[test]
    fn what_was_kept_from_an_earlier_run_is_not_read() {
        let folder = Folder::new("criterion-base");
        leave(&folder, "x", "x", "null", ["1.0", "2.0", "3.0"]);
        std::fs::rename(folder.path().join("x/new"), folder.path().join("x/base")).expect("moved");
        assert_eq!(read(folder.path()), Ok(Estimates::new()));
        assert!(get(&Estimates::new(), "x").expect_err("none").contains("there are none"));
    }

    #[test]
    fn spoilt_estimates_are_refused_by_file_and_field() {
        for (median, named) in [
            (["1.0", "-2.0", "3.0"], "median.point_estimate is -2 ns"),
            (["1.0", "5.0", "3.0"], "median is 5, its own spread is 1 to 3"),
            (["1.0", "null", "3.0"], "estimates.json: invalid type: null"),
            (["1.0", "1e999", "3.0"], "estimates.json: number out of range"),
        ] {
            let folder = Folder::new("criterion-spoilt");
            leave(&folder, "x", "x", "null", median);
            let why = read(folder.path()).expect_err("must be refused");
            assert!(why.contains("estimates.json") && why.contains(named), "{median:?}: {why}");
        }
    }

    #[test]
    fn missing_and_cut_files_are_named() {
        let folder = Folder::new("criterion-cut");
        leave(&folder, "x", "x", "null", ["1.0", "2.0", "3.0"]);
        let file = folder.path().join("x/new/estimates.json");
        std::fs::write(&file, r#"{"mean":{"#).expect("written");
        assert!(read(folder.path()).expect_err("cut").contains("estimates.json: EOF"));
        std::fs::remove_file(&file).expect("removed");
        assert!(read(folder.path()).expect_err("gone").contains("estimates.json cannot be read"));
        let nowhere = folder.path().join("nowhere");
        assert!(read(&nowhere).expect_err("no folder").contains("nowhere cannot be read"));
    }
}
