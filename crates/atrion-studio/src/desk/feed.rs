//! What viewers are given: the state now, and the lines that follow.

use std::sync::Arc;

use atrion_state::clock::Clock as _;
use bytes::Bytes;
use serde_json::json;
use tokio::sync::broadcast;

use super::{Desk, Feed, LAG, RouteFeed};
use crate::source;

impl Desk {
    /// The whole overview in one line.
    pub(crate) fn whole(&mut self) -> Bytes {
        self.freshen();
        let seq = self.overview.seq();
        if let Some((of, snapshot)) = &self.snapshot
            && *of == seq
        {
            return snapshot.clone();
        }
        let snapshot = self.overview.snapshot();
        self.snapshot = Some((seq, snapshot.clone()));
        snapshot
    }

    /// The overview now, and all that follows.
    pub(crate) fn subscribe(&mut self) -> Feed {
        let first = self.whole();
        Feed { first, seq: self.overview.seq(), rest: self.frames.subscribe() }
    }

    /// One route now, and all that follows; `None` if it is gone.
    pub(crate) fn subscribe_route(&mut self, id: u64) -> Option<Feed> {
        let value = self.describe_route(id, true)?;
        let first = line("route", &value);
        let refused = self.histories.get(id).map_or(0, |track| track.refusals(0).1);
        let feed = self.feeds.entry(id).or_insert_with(|| RouteFeed {
            lines: broadcast::Sender::new(LAG),
            seq: 0,
            refused,
        });
        Some(Feed { first, seq: feed.seq, rest: feed.lines.subscribe() })
    }

    pub(super) fn feed_routes(&mut self, at_ms: u64) {
        let mut feeds = std::mem::take(&mut self.feeds);
        feeds.retain(|id, feed| {
            if feed.lines.receiver_count() == 0 {
                return false;
            }
            let written = self.route_line(*id, feed, at_ms);
            let alive = written.is_some();
            let _ = feed.lines.send(written.unwrap_or_else(|| line("gone", &json!({}))));
            alive
        });
        self.feeds = feeds;
    }

    fn route_line(&mut self, id: u64, feed: &mut RouteFeed, at_ms: u64) -> Option<Bytes> {
        feed.seq += 1;
        let now = self.clock.now();
        let name = Arc::clone(self.overview.name(id)?);
        self.histories.want(id, &name, now);
        if feed.seq.is_multiple_of(10) {
            return Some(line("route", &self.describe_route(id, false)?));
        }
        let report = self.atrion.report(&name)?;
        let track = self.histories.get(id)?;
        let mut sample = String::new();
        let newest = track.samples().last().copied();
        newest.unwrap_or_else(|| source::sample(&report, at_ms, None, 0.0)).put(&mut sample);
        let (new, refused) = track.refusals(feed.refused);
        let mut refusals = String::new();
        for refusal in new {
            if !refusals.is_empty() {
                refusals.push(',');
            }
            refusal.put(&mut refusals);
        }
        feed.refused = refused;
        let rest = json!({
            "mode": source::mode_name(source::mode(&report)),
            "flags": source::flag_names(&report),
            "force": source::force(&report),
            "next_probe_secs": source::next_probe_secs(&report),
        })
        .to_string();
        let rest = rest.strip_prefix('{').unwrap_or("}");
        Some(Bytes::from(format!(
            "{{\"t\":\"sample\",\"seq\":{},\"sample\":{sample},\"refusals\":[{refusals}],{rest}\n",
            feed.seq
        )))
    }
}

/// One line of a stream: an object with its kind.
fn line(kind: &str, value: &serde_json::Value) -> Bytes {
    let members = value.to_string();
    let members = members.strip_prefix('{').unwrap_or("}");
    let comma = if members == "}" { "" } else { "," };
    Bytes::from(format!("{{\"t\":\"{kind}\"{comma}{members}\n"))
}
