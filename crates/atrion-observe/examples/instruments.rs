//! Prints the table of instruments, as it stands in `docs/observability.md`.

fn main() {
    print!("{}", atrion_observe::markdown());
}
