//! Records a route while sixteen callers crowd it.
//!
//! ```sh
//! cargo run -p atrion-examples --features trace --bin trace -- pay.trace
//! cargo xtask sim replay pay.trace
//! ```

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use atrion::trace::{Recorder, Settings};
use atrion::{Atrion, Priority};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).map_or_else(|| "pay.trace".into(), PathBuf::from);
    let atrion = Atrion::builder().build()?;
    let routes = [atrion.route("api/pay")];
    let [pay] = &routes;

    let recorder = Recorder::create(&path, Settings::default())?;
    let recording = atrion.record(recorder.tape(), &routes)?;

    // Sixteen callers of a service that does one thing at a time.
    let places = std::sync::Mutex::new(());
    thread::scope(|scope| {
        for caller in 0..16 {
            let places = &places;
            scope.spawn(move || {
                let priority = if caller % 4 == 0 { Priority::High } else { Priority::Low };
                for _ in 0..100 {
                    let Ok(permit) = pay.admit(priority) else {
                        thread::sleep(Duration::from_millis(1));
                        continue;
                    };
                    let place = places.lock();
                    thread::sleep(Duration::from_millis(1));
                    drop(place);
                    permit.success();
                }
            });
        }
    });

    // First nothing more is recorded, then the file is ended.
    drop(recording);
    let written = recorder.finish()?;
    println!("{}: {written:?}", path.display());
    Ok(())
}
