//! Which commands are sent. None of them is newer than Redis 6.2, save for sharded channels.

use bytes::Bytes;

use super::Commit;
use super::reply::Command;
use crate::names::Names;

/// How many fields one command sets or removes: a server does one command at a time, and others
/// wait meanwhile.
const FIELDS_PER_COMMAND: usize = 512;

/// How many fields are asked for at a time when a node's state is read.
const FIELDS_PER_STEP: u64 = 1000;

/// The commands of a commit, in this order: the news is published when what it says can be read.
pub(crate) fn commit(names: &Names, commit: &Commit, sharded: bool) -> Vec<Command> {
    let state = names.state(&commit.node);
    let mut commands = Vec::with_capacity(6 + commit.set.len() / FIELDS_PER_COMMAND);
    if commit.leave {
        commands.push(Command::new("DEL").arg(state));
        commands.push(Command::new("ZREM").arg(names.index().clone()).arg(commit.node.clone()));
    } else {
        if commit.clear {
            commands.push(Command::new("DEL").arg(state.clone()));
        }
        store(&mut commands, &state, commit);
        note_seen(&mut commands, names, commit);
    }
    if !commit.frame.is_empty() {
        let (name, channel) = if sharded {
            ("SPUBLISH", names.shard_channel())
        } else {
            ("PUBLISH", names.channel())
        };
        commands.push(Command::new(name).arg(channel.clone()).arg(commit.frame.clone()));
    }
    commands
}

fn store(commands: &mut Vec<Command>, state: &Bytes, commit: &Commit) {
    for fields in commit.set.chunks(FIELDS_PER_COMMAND) {
        let command = Command::new("HSET").arg(state.clone());
        commands.push(fields.iter().fold(command, |command, (field, value)| {
            command.arg(field.clone()).arg(value.clone())
        }));
    }
    for fields in commit.remove.chunks(FIELDS_PER_COMMAND) {
        let command = Command::new("HDEL").arg(state.clone());
        commands.push(fields.iter().fold(command, |command, field| command.arg(field.clone())));
    }
    commands.push(Command::new("PEXPIRE").arg(state.clone()).number(lifetime(commit.ttl_millis)));
}

/// The command of a commit whose answer tells whether the node was known.
pub(crate) const NOTES_NODE: &str = "ZADD";

fn note_seen(commands: &mut Vec<Command>, names: &Names, commit: &Commit) {
    let index = || Command::new(NOTES_NODE).arg(names.index().clone());
    commands.push(index().number(commit.seen_millis).arg(commit.node.clone()));
    let gone = commit.seen_millis.saturating_sub(commit.ttl_millis);
    commands.push(forget_before("ZREMRANGEBYSCORE", names.index().clone(), gone));
    // When the last node is gone, so is the index.
    let ttl = lifetime(commit.ttl_millis);
    commands.push(Command::new("PEXPIRE").arg(names.index().clone()).number(ttl));
}

fn forget_before(name: &'static str, key: Bytes, millis: u64) -> Command {
    Command::new(name).arg(key).arg(&b"-inf"[..]).arg(format!("({millis}"))
}

/// A time to live that the server accepts: not zero, which would mean at once, and far below the
/// range in which servers refuse.
fn lifetime(millis: u64) -> u64 {
    millis.clamp(1, 1 << 40)
}

pub(crate) fn time() -> Command {
    Command::new("TIME")
}

pub(crate) fn nodes(names: &Names, since_millis: u64, limit: usize) -> Command {
    Command::new("ZREVRANGEBYSCORE")
        .arg(names.index().clone())
        .arg(&b"+inf"[..])
        .number(since_millis)
        .arg(&b"LIMIT"[..])
        .number(0)
        .number(limit as u64)
}

pub(crate) fn state_step(state: Bytes, cursor: Bytes) -> Command {
    Command::new("HSCAN").arg(state).arg(cursor).arg(&b"COUNT"[..]).number(FIELDS_PER_STEP)
}

/// The commands of a registration; the answers of the last two are everybody with the first and
/// everybody with the last time.
///
/// A member is noted with its last time before its first one, so that the intersection of somebody
/// else's commands in between does not take it for gone.
pub(crate) fn register(
    (first, last): (Bytes, Bytes),
    member: &Bytes,
    now_millis: u64,
    since_millis: u64,
) -> Vec<Command> {
    let ttl = lifetime(now_millis.saturating_sub(since_millis));
    let all = |key: &Bytes| {
        Command::new("ZRANGE").arg(key.clone()).number(0).arg("-1").arg(&b"WITHSCORES"[..])
    };
    let note = |key: &Bytes, condition: &'static [u8]| {
        Command::new("ZADD").arg(key.clone()).arg(condition).number(now_millis).arg(member.clone())
    };
    vec![
        forget_before("ZREMRANGEBYSCORE", last.clone(), since_millis),
        // Whoever is not in `last` any more goes; the times in `first` stay as they are.
        Command::new("ZINTERSTORE")
            .arg(first.clone())
            .number(2)
            .arg(first.clone())
            .arg(last.clone())
            .arg(&b"WEIGHTS"[..])
            .number(1)
            .number(0),
        note(&last, b"GT"),
        note(&first, b"NX"),
        Command::new("PEXPIRE").arg(last.clone()).number(ttl),
        Command::new("PEXPIRE").arg(first.clone()).number(ttl),
        all(&first),
        all(&last),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(commands: &[Command]) -> Vec<&'static str> {
        commands.iter().map(|c| c.name).collect()
    }

    #[test]
    fn news_is_published_last_and_large_states_are_split() {
        let field = |i: usize| Bytes::from(i.to_string());
        let large = Commit {
            node: "n".into(),
            frame: "f".into(),
            set: (0..1025).map(|i| (field(i), field(i))).collect(),
            remove: vec!["x".into()],
            clear: true,
            seen_millis: 5000,
            ttl_millis: 1000,
            ..Commit::default()
        };
        let commands = commit(&Names::default(), &large, false);
        assert_eq!(
            names_of(&commands),
            [
                "DEL",
                "HSET",
                "HSET",
                "HSET",
                "HDEL",
                "PEXPIRE",
                "ZADD",
                "ZREMRANGEBYSCORE",
                "PEXPIRE",
                "PUBLISH"
            ]
        );
        assert_eq!(commands[3].args.len(), 3);
        assert_eq!(commands[7].args[2], "(4000");
    }

    #[test]
    fn who_leaves_sets_nothing_and_who_is_silent_publishes_nothing() {
        let leave = Commit { leave: true, frame: "bye".into(), ..Commit::default() };
        let commands = commit(&Names::default(), &leave, true);
        assert_eq!(names_of(&commands), ["DEL", "ZREM", "SPUBLISH"]);
        let silent = commit(&Names::default(), &Commit::default(), false);
        assert!(!names_of(&silent).contains(&"PUBLISH"));
    }

    #[test]
    fn lifetimes_are_never_zero_nor_beyond_what_servers_take() {
        assert_eq!(lifetime(0), 1);
        assert_eq!(lifetime(u64::MAX), 1 << 40);
    }
}
