//! A Redis Cluster.

use crate::resp::{Answer, Control};
use crate::wait::wait_for;
use crate::{Failure, RedisOptions, RedisServer};

/// How many slots every Redis Cluster has.
const SLOTS: u32 = 16384;

/// Masters that share the slots evenly, each followed by as many replicas as asked for.
pub struct RedisCluster {
    masters: Vec<RedisServer>,
    replicas: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts `masters` masters with one replica each if `with_replicas`; `lines` go into the
    /// configuration of each. Returns when every node says that all slots are served.
    ///
    /// # Errors
    /// [`Failure`] if a node does not start or the cluster does not come together.
    pub fn start(masters: usize, with_replicas: bool, lines: &[&str]) -> Result<Self, Failure> {
        let start = || {
            let options = lines.iter().fold(RedisOptions::default(), |o, line| o.line(line));
            RedisServer::start_with(options.cluster_node())
        };
        let many = |count| (0..count).map(|_| start()).collect::<Result<Vec<_>, _>>();
        let cluster = Self {
            masters: many(masters)?,
            replicas: many(if with_replicas { masters } else { 0 })?,
        };
        cluster.give_slots()?;
        cluster.introduce()?;
        cluster.attach_replicas()?;
        Ok(cluster)
    }

    /// The masters, as they were at the start.
    pub fn masters(&self) -> &[RedisServer] {
        &self.masters
    }

    /// The replicas, as they were at the start, in the order of their masters.
    pub fn replicas(&self) -> &[RedisServer] {
        &self.replicas
    }

    /// Which of the masters was given `slot`.
    pub fn owner(&self, slot: u16) -> usize {
        self.range_of_master()
            .position(|(from, to)| (from..=to).contains(&u32::from(slot)))
            .unwrap_or(0)
    }

    /// Lets the replica of this master take its place, and returns when it has and every node
    /// knows it.
    ///
    /// # Errors
    /// [`Failure`] if that does not happen.
    pub fn fail_over(&self, master: usize) -> Result<(), Failure> {
        let replica = self.replicas.get(master).ok_or_else(|| Failure::new("no such replica"))?;
        let id = node_id(replica)?;
        replica.command("CLUSTER FAILOVER")?;
        self.everywhere("a failover", |control| {
            let nodes = text(control, "CLUSTER NODES")?;
            let line = nodes.lines().find(|l| l.starts_with(&id)).unwrap_or_default();
            Ok(line.contains("master") && line.split_whitespace().count() > 8)
        })
    }

    /// Moves an empty slot to another master, and returns when both know it.
    ///
    /// # Errors
    /// [`Failure`] if a node refuses.
    pub fn move_slot(&self, slot: u16, to: usize) -> Result<(), Failure> {
        let target = self.masters.get(to).ok_or_else(|| Failure::new("no such master"))?;
        let command = format!("CLUSTER SETSLOT {slot} NODE {}", node_id(target)?);
        target.command(&command)?;
        for master in &self.masters {
            master.command(&command)?;
        }
        Ok(())
    }

    fn range_of_master(&self) -> impl Iterator<Item = (u32, u32)> {
        let count = u32::try_from(self.masters.len()).unwrap_or(1).max(1);
        (0..count).map(move |n| (n * SLOTS / count, (n + 1) * SLOTS / count - 1))
    }

    fn give_slots(&self) -> Result<(), Failure> {
        for ((from, to), master) in self.range_of_master().zip(&self.masters) {
            let slots: Vec<String> = (from..=to).map(|slot| slot.to_string()).collect();
            master.command(&format!("CLUSTER ADDSLOTS {}", slots.join(" ")))?;
        }
        Ok(())
    }

    fn introduce(&self) -> Result<(), Failure> {
        let Some(first) = self.masters.first() else { return Ok(()) };
        for (epoch, node) in (1..).zip(self.all()) {
            node.command(&format!("CLUSTER SET-CONFIG-EPOCH {epoch}"))?;
        }
        for node in self.all().skip(1) {
            node.command(&format!("CLUSTER MEET 127.0.0.1 {}", first.port()))?;
        }
        let known = format!("cluster_known_nodes:{}", self.all().count());
        self.everywhere("a cluster", |control| {
            let info = text(control, "CLUSTER INFO")?;
            Ok(info.contains("cluster_state:ok") && info.contains(&known))
        })
    }

    fn attach_replicas(&self) -> Result<(), Failure> {
        for (replica, master) in self.replicas.iter().zip(&self.masters) {
            replica.command(&format!("CLUSTER REPLICATE {}", node_id(master)?))?;
        }
        for replica in &self.replicas {
            wait_for("a replica of a cluster", || {
                let info = text(&mut replica.control()?, "INFO replication")?;
                Ok(info.contains("master_link_status:up").then_some(()))
            })?;
        }
        let count = self.replicas.len();
        self.everywhere("the replicas of a cluster", |control| {
            let nodes = text(control, "CLUSTER NODES")?;
            Ok(nodes.lines().filter(|line| line.contains("slave")).count() == count)
        })
    }

    fn all(&self) -> impl Iterator<Item = &RedisServer> {
        self.masters.iter().chain(&self.replicas)
    }

    fn everywhere(
        &self,
        what: &str,
        mut holds: impl FnMut(&mut Control) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        for node in self.all() {
            let mut control = node.control()?;
            wait_for(what, || Ok(holds(&mut control)?.then_some(())))?;
        }
        Ok(())
    }
}

fn node_id(node: &RedisServer) -> Result<String, Failure> {
    text(&mut node.control()?, "CLUSTER MYID")
}

pub(crate) fn text(control: &mut Control, line: &str) -> Result<String, Failure> {
    let parts: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
    match control.call(&parts)? {
        Answer::Error(text) => Err(Failure::new(format!("`{line}`: {text}"))),
        answer => answer.text().ok_or_else(|| Failure::new(format!("`{line}`: no text"))),
    }
}
