//! The large clusters of the study: 50 and 200 nodes.

use crate::outages::outage;

#[test]
fn fifty_nodes_send_a_seventh_of_what_they_would_alone() {
    let (dead, recovery) = outage(1, 50, 0.3);
    let (alone, _) = outage(1, 50, 0.0);
    println!("N=50: dead {dead} alone {alone} recovery {recovery}");
    assert!(dead as f64 <= 0.15 * alone as f64, "{dead} of {alone}");
    assert!(recovery <= 1.5, "{recovery} s");
}

#[test]
fn two_hundred_nodes_probe_within_their_bound() {
    let (dead, recovery) = outage(1, 200, 0.3);
    println!("N=200: dead {dead} recovery {recovery}");
    assert!(dead <= 3_000, "{dead}");
    assert!(recovery <= 1.5, "{recovery} s");
}
