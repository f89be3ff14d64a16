//! Actions: what may be done, on what state, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use atrion_core::time::Timestamp;
use atrion_engine::{Config, Force, OVERFLOW_ROUTE, Route, RouteReport};
use atrion_state::clock::Clock as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::answer::ApiError;
use crate::audit::AuditEntry;
use crate::confirm::{CONFIRM_SECS, NotDone};
use crate::desk::{Desk, Undo, UndoWhat};
use crate::event::{Level, now_ms};
use crate::settings;
use crate::source;

/// Shortest and longest override, in seconds.
pub(crate) const EXPIRY_SECS: (f64, f64) = (1.0, 86_400.0);
/// Longest reason, in characters.
const REASON: usize = 200;

/// What is asked for, as it arrives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    action: String,
    route: Option<u64>,
    expiry_secs: Option<f64>,
    reason: Option<String>,
    config: Option<Map<String, Value>>,
}

/// What is to be done, checked.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    what: What,
    /// Id and name.
    route: Option<(u64, Arc<str>)>,
    reason: String,
    summary: String,
}

#[derive(Clone, Debug)]
enum What {
    Force(Force, Duration),
    Release,
    Reset,
    Shadow(bool, Option<Duration>),
    Reload(Box<Config>),
}

impl What {
    const fn name(&self) -> &'static str {
        match self {
            Self::Force(Force::Open, _) => "force_open",
            Self::Force(Force::Closed, _) => "force_closed",
            Self::Release => "release",
            Self::Reset => "reset",
            Self::Shadow(true, _) => "shadow_on",
            Self::Shadow(false, _) => "shadow_off",
            Self::Reload(_) => "reload",
        }
    }
}

/// What an action is decided on. If any of it changes, the action is not done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RouteState {
    Route { mode: u8, shadow: bool, forced: Option<(Force, Timestamp)> },
    Config(Arc<Config>),
}

impl RouteState {
    fn of(report: &RouteReport) -> Self {
        Self::Route {
            mode: source::mode(report),
            shadow: report.shadow,
            forced: report.forced.map(|forced| (forced.force, forced.until)),
        }
    }
}

fn shown(report: Option<&RouteReport>) -> Value {
    report.map_or(Value::Null, |report| {
        json!({
            "mode": source::mode_name(source::mode(report)), "shadow": report.shadow,
            "force": source::force(report),
        })
    })
}

/// A stretch of time for people.
fn time(secs: f64) -> String {
    match secs {
        s if s < 120.0 => format!("{s} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

impl Wanted {
    fn expiry(&self) -> Result<Option<Duration>, ApiError> {
        let (min, max) = EXPIRY_SECS;
        match self.expiry_secs {
            None => Ok(None),
            Some(secs) if secs >= min && secs <= max => Ok(Some(Duration::from_secs_f64(secs))),
            Some(secs) => Err(ApiError::out_of_range("expiry_secs", secs, "s", min, max)),
        }
    }

    /// Checks all that does not depend on the state.
    fn read(&self) -> Result<(What, String), ApiError> {
        let expiry = self.expiry()?;
        let needed = || expiry.ok_or_else(|| ApiError::bad("`expiry_secs` is missing"));
        let what = match self.action.as_str() {
            "force_open" => What::Force(Force::Open, needed()?),
            "force_closed" => What::Force(Force::Closed, needed()?),
            "release" => What::Release,
            "reset" => What::Reset,
            "shadow_on" => What::Shadow(true, expiry),
            "shadow_off" => What::Shadow(false, expiry),
            "reload" => What::Reload(Box::new(settings::read(self.config.as_ref())?)),
            _ => {
                return Err(ApiError::bad(
                    "`action` is none of force_open, force_closed, release, reset, shadow_on, shadow_off, reload",
                ));
            }
        };
        let is_reload = matches!(what, What::Reload(_));
        let takes_expiry = matches!(what, What::Force(..) | What::Shadow(..));
        let odd = [
            (is_reload && self.route.is_some(), "`route` does not belong to this action"),
            (!is_reload && self.route.is_none(), "`route` is missing"),
            (!is_reload && self.config.is_some(), "`config` does not belong to this action"),
            (!takes_expiry && expiry.is_some(), "`expiry_secs` does not belong to this action"),
        ];
        if let Some((_, message)) = odd.into_iter().find(|(is_odd, _)| *is_odd) {
            return Err(ApiError::bad(message));
        }
        let reason = self.reason.as_deref().unwrap_or("").trim();
        let length = reason.chars().count();
        if length > REASON {
            return Err(ApiError::out_of_range(
                "reason",
                length as f64,
                "characters",
                0.0,
                REASON as f64,
            ));
        }
        Ok((what, reason.to_owned()))
    }
}

impl Desk {
    /// Checks an action and shows what it would change; changes nothing.
    pub(crate) fn prepare(&mut self, wanted: &Wanted, key: String) -> Result<Value, ApiError> {
        let (what, reason) = wanted.read()?;
        let (route, report) = match wanted.route {
            None => (None, None),
            Some(id) => {
                let name = self.overview.name(id).cloned().ok_or_else(ApiError::no_such_route)?;
                let report = self.atrion.report(&name).ok_or_else(ApiError::no_such_route)?;
                (Some((id, name)), Some(report))
            }
        };
        let changes = match &what {
            What::Reload(config) => Some(settings::changes(&self.atrion.config(), config)),
            _ => None,
        };
        let summary =
            summary(&what, route.as_ref().map_or("", |(_, name)| name), changes.as_deref());
        let state = match &report {
            Some(report) => RouteState::of(report),
            None => RouteState::Config(self.atrion.config()),
        };
        let mut answer = json!({
            "confirm": key, "expires_ms": now_ms() + 1000 * CONFIRM_SECS, "summary": summary,
            "state": shown(report.as_ref()),
        });
        if let (Value::Object(members), Some(changes)) = (&mut answer, changes) {
            members.insert("changes".into(), changes.into());
        }
        let action = Action { what, route, reason, summary };
        self.confirmations.prepare(key, action, state, self.clock.now());
        Ok(answer)
    }

    /// Does what was prepared under this key, if it still is what was shown.
    pub(crate) fn commit(&mut self, key: &str, from: String) -> Result<Value, ApiError> {
        let now = self.clock.now();
        let prepared = self.confirmations.take(key, now).map_err(|_: NotDone| {
            ApiError::not_found(
                "no_such_confirmation",
                "unknown, used already, or older than a minute: prepare again",
            )
        })?;
        let state = match &prepared.action.route {
            None => RouteState::Config(self.atrion.config()),
            Some((_, name)) => {
                RouteState::of(&self.atrion.report(name).ok_or_else(ApiError::no_such_route)?)
            }
        };
        let holds = prepared.check(&state).is_ok();
        let action = prepared.action;
        let outcome = if holds { "done" } else { "state_changed" };
        if holds {
            self.carry_out(&action, &state, now);
        }
        let seq = self.note(&action, from, outcome);
        if !holds {
            return Err(ApiError::conflict(
                "state_changed",
                "it is not what was shown any more; nothing was done: prepare again",
            ));
        }
        let report = action.route.as_ref().and_then(|(_, name)| self.atrion.report(name));
        Ok(json!({"done": true, "audit_seq": seq, "state": shown(report.as_ref())}))
    }

    fn note(&self, action: &Action, from: String, outcome: &'static str) -> u64 {
        let name = action.route.as_ref().map(|(_, name)| Arc::clone(name));
        let text = format!("{}: {}", outcome.replace('_', " "), action.summary);
        self.journal.note("action", Level::Info, name.as_deref(), text);
        self.audit.record(AuditEntry {
            at_ms: now_ms(),
            from,
            action: action.what.name(),
            route: name,
            summary: action.summary.clone(),
            reason: action.reason.clone(),
            outcome,
        })
    }

    fn carry_out(&mut self, action: &Action, before: &RouteState, now: Timestamp) {
        if let What::Reload(config) = &action.what {
            self.atrion.reload(Config::clone(config));
            self.look_at_config();
            return;
        }
        let Some((_, name)) = &action.route else { return };
        let route = self.handle(name);
        match action.what {
            What::Force(force, expiry) => {
                route.force(force, expiry);
                self.undo_later(route, UndoWhat::Force, now.saturating_add(expiry));
            }
            What::Release => {
                route.release();
                self.undo.retain(|undo| undo.route != route || undo.what != UndoWhat::Force);
            }
            What::Reset => {
                route.reset();
                self.undo.retain(|undo| undo.route != route || undo.what != UndoWhat::Force);
            }
            What::Shadow(on, expiry) => {
                route.set_shadow(on);
                let was = matches!(before, RouteState::Route { shadow: true, .. });
                self.undo.retain(|undo| undo.route != route || undo.what == UndoWhat::Force);
                if let Some(expiry) = expiry {
                    self.undo_later(route, UndoWhat::Shadow(was), now.saturating_add(expiry));
                }
            }
            What::Reload(_) => {}
        }
    }

    fn handle(&self, name: &str) -> Route {
        if name == OVERFLOW_ROUTE {
            self.atrion.overflow_route().clone()
        } else {
            self.atrion.route(name)
        }
    }

    fn undo_later(&mut self, route: Route, what: UndoWhat, at: Timestamp) {
        let is_force = what == UndoWhat::Force;
        self.undo.retain(|undo| undo.route != route || (undo.what == UndoWhat::Force) != is_force);
        self.undo.push(Undo { at, route, what });
    }

    /// Ends what was to end by now, and says so.
    pub(crate) fn end_what_is_over(&mut self, now: Timestamp) {
        let (over, rest) = self.undo.drain(..).partition(|undo| undo.at <= now);
        self.undo = rest;
        let over: Vec<Undo> = over;
        for Undo { route, what, .. } in over {
            let (name, summary) = match what {
                UndoWhat::Force => {
                    if route.report().forced.is_some() {
                        // Somebody else forced it anew.
                        continue;
                    }
                    ("release", format!("the override of {} has ended", route.name()))
                }
                UndoWhat::Shadow(was) => {
                    route.set_shadow(was);
                    let what = if was { "on" } else { "off" };
                    (
                        if was { "shadow_on" } else { "shadow_off" },
                        format!("shadow mode of {} is {what} again", route.name()),
                    )
                }
            };
            self.journal.note("action", Level::Info, Some(route.name()), summary.clone());
            self.audit.record(AuditEntry {
                at_ms: now_ms(),
                from: "studio".to_owned(),
                action: name,
                route: Some(Arc::from(route.name())),
                summary,
                reason: String::new(),
                outcome: "expired",
            });
        }
    }
}

fn summary(what: &What, name: &str, changes: Option<&[Value]>) -> String {
    let for_how_long = |expiry: &Duration| time(expiry.as_secs_f64());
    match what {
        What::Force(Force::Open, expiry) => {
            format!("refuse every request of {name} for {}", for_how_long(expiry))
        }
        What::Force(Force::Closed, expiry) => {
            format!("admit every request of {name} for {}", for_how_long(expiry))
        }
        What::Release => format!("end the override of {name}"),
        What::Reset => format!("forget the scars of {name}, and what was learned of it"),
        What::Shadow(on, expiry) => {
            let what =
                if *on { "admit what would be refused" } else { "refuse what is to be refused" };
            let end =
                expiry.as_ref().map_or(String::new(), |e| format!(" for {}", for_how_long(e)));
            format!("{what} on {name}{end}")
        }
        What::Reload(_) => match changes.map_or(0, <[Value]>::len) {
            0 => "replace the configuration by an equal one".to_owned(),
            1 => "replace the configuration: 1 field changes".to_owned(),
            n => format!("replace the configuration: {n} fields change"),
        },
    }
}
