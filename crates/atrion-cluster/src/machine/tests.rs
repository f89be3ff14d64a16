//! Scenarios of one or a few nodes. `world` is the store, `faults` what goes wrong with it.

mod faults;
mod licence;
mod link;
mod own;
mod sharing;
mod world;

const fn is_send<T: Send>() {}
const _: () = is_send::<super::ClusterCore>();
