//! Real servers and a proxy with faults.
