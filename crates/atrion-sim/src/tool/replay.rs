//! `sim replay`: what configurations would have done with recorded traces.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use atrion_sim::policy::Choice;
use atrion_sim::replay::table::{self, RouteReplay, TraceReplay};
use atrion_sim::replay::{Model, ModelSettings, Setting, open_loop, select, svg};
use atrion_trace::Trace;
use lexopt::ValueExt as _;

use crate::{file, say};

pub(crate) const HELP: &str = "\
Replays traces of live services: what other configurations would have done.

Usage: cargo xtask sim replay TRACE.. [OPTIONS]

  TRACE             a file that the recorder of the feature `trace` wrote, or `sim --record`
  --config FILE..   configurations (TOML; what they leave out is as shipped); `default` names the
                    one that is shipped, and is what is replayed if none is given
  --policy NAME..   in the model, other policies beside the configurations, separated by spaces or
                    commas: `reference` is the published model (cargo xtask sim --list names all)
  --route NAME..    only these routes (default: all)
  --open            only the open-loop replay: the recorded outcomes, fed to the engine
  --model           only the model replay: the recorded callers before a fitted service
  --deadline-ms X   in the model, a later answer is of no use (default: ten mean service times)
  --seed N          of the model's service times (default 1)
  --csv FILE        write both over time
  --json FILE       write all figures
  --svg FILE        write a plot over time
  --help            this text

The open loop invents nothing and nothing reacts in it. The model reacts, and says how far it is
from what was recorded. docs/simulation.md says what either can know.
";

const DEFAULT: &str = "default";
/// A configuration file of this size is none.
const MOST_CONFIG_BYTES: u64 = 1 << 20;

/// The user's choices.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    traces: Vec<PathBuf>,
    configs: Vec<String>,
    policies: Vec<Choice>,
    routes: Vec<String>,
    open: bool,
    model: bool,
    deadline_secs: Option<f64>,
    seed: u64,
    csv: Option<PathBuf>,
    json: Option<PathBuf>,
    svg: Option<PathBuf>,
}

/// Reads the arguments after `replay`; `None` asks for help, the error is a sentence.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, String> {
    use lexopt::Arg::{Long, Short, Value};
    let text = |e: lexopt::Error| e.to_string();
    let mut parser = lexopt::Parser::from_args(args);
    let mut o = Options { seed: 1, ..Options::default() };
    while let Some(arg) = parser.next().map_err(text)? {
        match arg {
            Short('h') | Long("help") => return Ok(None),
            Long("open") => o.open = true,
            Long("model") => o.model = true,
            Long("config") => o.configs.extend(values(&mut parser)?),
            Long("policy") => {
                for names in values(&mut parser)? {
                    for name in names.split(',').filter(|name| !name.is_empty()) {
                        o.policies.push(policy(name)?);
                    }
                }
            }
            Long("route") => o.routes.extend(values(&mut parser)?),
            Long("csv") => o.csv = Some(parser.value().map_err(text)?.into()),
            Long("json") => o.json = Some(parser.value().map_err(text)?.into()),
            Long("svg") => o.svg = Some(parser.value().map_err(text)?.into()),
            Long("seed") => {
                o.seed =
                    parser.value().and_then(|v| v.parse()).map_err(|e| format!("--seed: {e}"))?;
            }
            Long("deadline-ms") => {
                let millis: f64 = parser
                    .value()
                    .and_then(|v| v.parse())
                    .map_err(|e| format!("--deadline-ms: {e}"))?;
                if !(1e-3..=3.6e6).contains(&millis) {
                    return Err(format!("--deadline-ms is {millis}, allowed is 0.001 to 3600000"));
                }
                o.deadline_secs = Some(millis / 1000.0);
            }
            Value(path) => o.traces.push(path.into()),
            other => return Err(other.unexpected().to_string()),
        }
    }
    if o.traces.is_empty() {
        return Err("replay needs a trace; --help shows how".to_owned());
    }
    if o.configs.is_empty() {
        o.configs.push(DEFAULT.to_owned());
    }
    if o.open && !o.model && !o.policies.is_empty() {
        return Err("--policy needs the model; --open replays configurations only".to_owned());
    }
    if !o.open && !o.model {
        (o.open, o.model) = (true, true);
    }
    Ok(Some(o))
}

/// An oracle searches over runs, and one replay is none.
fn policy(name: &str) -> Result<Choice, String> {
    let choice = Choice::parse(name).map_err(|e| e.to_string())?;
    if choice.is_oracle() {
        return Err(format!("`{name}` is a search over many runs and cannot be replayed"));
    }
    Ok(choice)
}

fn values(parser: &mut lexopt::Parser) -> Result<Vec<String>, String> {
    let all = parser.values().map_err(|e| e.to_string())?;
    all.map(|value| value.string().map_err(|e| e.to_string())).collect()
}

/// Everything is read and checked before anything is replayed, and replayed before anything is
/// written.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let settings: Vec<Setting> =
        options.configs.iter().map(|name| setting(name)).collect::<Result<_, _>>()?;
    for path in options.csv.iter().chain(&options.json).chain(&options.svg) {
        file::check_writable(path)?;
    }
    let traces: Vec<Loaded> =
        options.traces.iter().map(|path| Loaded::read(path)).collect::<Result<_, _>>()?;
    let routes: Vec<Vec<u32>> = selected(&traces, &options.routes)?;
    let mut replays = Vec::with_capacity(traces.len());
    for (loaded, routes) in traces.iter().zip(&routes) {
        let replay = replay(loaded, routes, &settings, options)?;
        say(&format!("{}\n", table::text(&replay)))?;
        replays.push(replay);
    }
    let mut files: Vec<(&PathBuf, String)> = Vec::new();
    if let Some(path) = &options.csv {
        files.push((path, table::csv(&replays)));
    }
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(&table::data(&replays));
        files.push((path, json.map_err(|e| format!("the figures cannot be written: {e}"))? + "\n"));
    }
    if let Some(path) = &options.svg {
        let plot = svg::plot(&replays).map_err(|e| format!("the plot cannot be drawn: {e}"))?;
        files.push((path, plot));
    }
    for (path, content) in files {
        file::write_whole(path, content.as_bytes())?;
        say(&format!("wrote {}\n", path.display()))?;
    }
    Ok(())
}

fn setting(name: &str) -> Result<Setting, String> {
    if name == DEFAULT {
        return Ok(Setting::shipped());
    }
    let unreadable =
        |why: &dyn std::fmt::Display| format!("configuration {name} cannot be read: {why}");
    let size = fs::metadata(name).map_err(|e| unreadable(&e))?.len();
    if size > MOST_CONFIG_BYTES {
        return Err(unreadable(&format!("it has {size} bytes, more than {MOST_CONFIG_BYTES}")));
    }
    let text = fs::read_to_string(name).map_err(|e| unreadable(&e))?;
    Setting::from_toml(name, &text).map_err(|e| e.to_string())
}

struct Loaded {
    name: String,
    bytes: u64,
    trace: Trace,
}

impl Loaded {
    fn read(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let unreadable = |why: &dyn std::fmt::Display| format!("{name} cannot be read: {why}");
        let file = File::open(path).map_err(|e| unreadable(&e))?;
        let bytes = file.metadata().map_err(|e| unreadable(&e))?.len();
        let trace = Trace::read(BufReader::new(file)).map_err(|e| format!("{name}: {e}"))?;
        Ok(Self { name, bytes, trace })
    }
}

/// The routes to be replayed of each trace. A name that is asked for has to be in one of them.
fn selected(traces: &[Loaded], names: &[String]) -> Result<Vec<Vec<u32>>, String> {
    for name in names {
        let one = std::slice::from_ref(name);
        let found: Vec<_> = traces.iter().map(|loaded| select(&loaded.trace, one)).collect();
        if found.iter().all(Result::is_err)
            && let Some(Err(why)) = found.into_iter().next()
        {
            return Err(format!("--route: {why}"));
        }
    }
    let known = |loaded: &Loaded| -> Vec<String> {
        let has = |name: &&String| loaded.trace.routes().iter().any(|r| *r.name == ***name);
        names.iter().filter(has).cloned().collect()
    };
    traces
        .iter()
        .map(|loaded| {
            let own = known(loaded);
            if own.is_empty() && !names.is_empty() {
                return Ok(Vec::new());
            }
            select(&loaded.trace, &own).map_err(|e| e.to_string())
        })
        .collect()
}

fn replay(
    loaded: &Loaded,
    routes: &[u32],
    settings: &[Setting],
    options: &Options,
) -> Result<TraceReplay, String> {
    let trace = &loaded.trace;
    let sentence = |e: atrion_sim::replay::ReplayError| format!("{}: {e}", loaded.name);
    let mut notes = table::notes(trace, loaded.bytes);
    let asked = |route: &u32| trace.requests().iter().any(|r| r.route == *route);
    let routes: Vec<u32> = routes.iter().copied().filter(asked).collect();
    if routes.is_empty() {
        notes.push("nobody asked for any of the routes: there is nothing to replay".to_owned());
    }
    let name = |index: &u32| trace.routes().get(*index as usize).map(|r| r.name.to_string());
    let mut all: Vec<RouteReplay> = routes
        .iter()
        .map(|index| RouteReplay {
            route: name(index).unwrap_or_default(),
            open: Vec::new(),
            model: None,
        })
        .collect();
    if options.open && !routes.is_empty() {
        for setting in settings {
            let replayed = open_loop(trace, &routes, setting).map_err(sentence)?;
            for (route, open) in all.iter_mut().zip(replayed) {
                route.open.push(open);
            }
        }
    }
    if options.model {
        let model = ModelSettings { deadline_secs: options.deadline_secs, seed: options.seed };
        for (route, index) in all.iter_mut().zip(&routes) {
            let fitted = Model::fit(trace, *index, &model).and_then(|model| {
                let configured = settings.iter().map(|s| model.run(s));
                let others = options.policies.iter().map(|choice| model.run_policy(choice));
                let runs: Result<Vec<_>, _> = configured.chain(others).collect();
                Ok((model, runs?))
            });
            route.model = Some(fitted.map_err(|e| e.to_string()));
        }
    }
    Ok(TraceReplay { trace: loaded.name.clone(), notes, routes: all })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Option<Options>, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let o = parsed(&["a.trace"]).expect("valid").expect("a replay");
        assert_eq!((o.configs, o.open, o.model, o.seed), (vec![DEFAULT.to_owned()], true, true, 1));
        let words = ["a", "b", "--config", "x.toml", "--config", "y.toml", "default", "--open"];
        let o = parsed(&words).expect("valid").expect("a replay");
        assert_eq!((o.traces.len(), o.configs.len(), o.open, o.model), (2, 3, true, false));
    }

    #[test]
    fn other_policies_are_replayed_in_the_model() {
        let o = parsed(&["a", "--policy", "reference,aimd"]).expect("valid").expect("a replay");
        let names: Vec<&str> = o.policies.iter().map(Choice::name).collect();
        assert_eq!((names, o.model), (vec!["reference", "aimd"], true));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (words, named) in [
            (&[][..], "needs a trace"),
            (&["a", "--deadline-ms", "0"], "--deadline-ms is 0"),
            (&["a", "--deadline-ms", "NaN"], "--deadline-ms is NaN"),
            (&["a", "--seed", "soon"], "--seed"),
            (&["a", "--policy", "refrence"], "refrence"),
            (&["a", "--policy", "oracle"], "search"),
            (&["a", "--policy", "reference", "--open"], "--policy needs the model"),
            (&["a", "--fast"], "--fast"),
        ] {
            let why = parsed(words).expect_err("must be refused");
            assert!(why.contains(named), "{words:?}: {why}");
        }
    }
}
