//! A real Chromium, driven as a user would: keys, clicks, eyes.
//!
//! `chromedriver` starts the browser and speaks WebDriver to us; what WebDriver does not know
//! (emulation, heap sizes) goes through its way to the DevTools protocol. Both programs are Debian's
//! packages `chromium` and `chromium-driver`; the variables `ATRION_CHROMIUM` and
//! `ATRION_CHROMEDRIVER` name others.

mod axe;
mod driver;
mod memory;

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
pub use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use self::axe::{Rules, Violation};
use self::driver::Driver;
pub use self::memory::Memory;
use crate::Failure;
use crate::process::Folder;

/// The pause between two looks at the page, and how many looks there are at most: a minute's worth,
/// and longer on a loaded machine, where each takes its time. Looks are counted, not seconds, because
/// a machine that stood still for a while has given the page no chance to become true.
const PAUSE: Duration = Duration::from_millis(50);
const LOOKS: usize = 1000;

/// One browser at a time: two would measure each other.
static TURN: LazyLock<Arc<Mutex<()>>> = LazyLock::new(Arc::default);

/// Without a display, without phoning home, without anything of an earlier run. As root, which
/// containers are, Chromium starts only without its sandbox; it sees nothing but our own pages.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--lang=en-US",
];

/// What every document is watched for from its first moment on.
const WATCH: &str = "
    globalThis.__seen = [];
    addEventListener('securitypolicyviolation', (e) =>
        __seen.push(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`));
    addEventListener('error', (e) => __seen.push(`error: ${e.message} ${e.filename}:${e.lineno}`));
    addEventListener('unhandledrejection', (e) => __seen.push(`rejection: ${e.reason?.stack ?? e.reason}`));
";

/// The two looks a page can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// A browser with one page. [`close`](Self::close) it at the end; dropped, it is killed.
pub struct Browser {
    client: Client,
    driver: Driver,
    folder: Folder,
    _turn: OwnedMutexGuard<()>,
}

impl Browser {
    /// Starts a browser with an empty profile; waits for its turn if another one runs.
    ///
    /// # Errors
    /// [`Failure`] if a program is missing, which `cargo xtask setup` repairs, or does not start.
    pub async fn start() -> Result<Self, Failure> {
        let turn = Arc::clone(&TURN).lock_owned().await;
        let folder = Folder::new()?;
        let driver = Driver::start(folder.path())?;
        let mut args: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        args.push(format!("--user-data-dir={}", folder.path().join("profile").display()));
        let mut options = json!({ "args": args });
        if let (Some(program), Some(options)) =
            (std::env::var_os("ATRION_CHROMIUM"), options.as_object_mut())
        {
            options.insert("binary".into(), program.to_string_lossy().into());
        }
        let wanted = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let Value::Object(wanted) = wanted else { unreachable!("an object was written above") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&driver.url())
            .await
            .map_err(|error| driver.explain(&error.to_string()))?;
        let browser = Self { client, driver, folder, _turn: turn };
        let watch = json!({ "source": WATCH });
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", watch).await?;
        Ok(browser)
    }

    /// Loads a page.
    ///
    /// # Errors
    /// [`Failure`] if the browser does not answer.
    pub async fn open(&self, url: &str) -> Result<(), Failure> {
        Ok(self.client.goto(url).await?)
    }

    /// Loads the page again.
    ///
    /// # Errors
    /// [`Failure`] if the browser does not answer.
    pub async fn reload(&self) -> Result<(), Failure> {
        Ok(self.client.refresh().await?)
    }

    /// The body of a function run in the page; what it returns, or what its promise resolves to.
    ///
    /// # Errors
    /// [`Failure`] with what it threw.
    pub async fn run(&self, script: &str) -> Result<Value, Failure> {
        Ok(self
            .client
            .execute(&format!("return (async () => {{\n{script}\n}})()"), Vec::new())
            .await?)
    }

    /// Looks again and again until an expression is true, and answers with its value.
    ///
    /// # Errors
    /// [`Failure`] if it does not become true within a minute or more, with what the page shows.
    pub async fn until(&self, expression: &str) -> Result<Value, Failure> {
        let script = format!("return ({expression}) ?? null");
        for _ in 0..LOOKS {
            // While a document is being replaced there is nothing to ask.
            let seen = self.run(&script).await.unwrap_or(Value::Null);
            if !matches!(seen, Value::Null | Value::Bool(false)) && seen != "" && seen != 0 {
                return Ok(seen);
            }
            tokio::time::sleep(PAUSE).await;
        }
        let page = self.run("return document.body.innerText.slice(0, 3000)").await;
        let page = page.unwrap_or_default();
        let page = page.as_str().unwrap_or("nothing");
        Err(Failure::new(format!("not in {LOOKS} looks: {expression}\nThe page shows:\n{page}")))
    }

    /// Clicks with the mouse in the middle of an element, which must be there and visible.
    ///
    /// # Errors
    /// [`Failure`] if it is not, or something covers it.
    pub async fn click(&self, selector: &str) -> Result<(), Failure> {
        let element = self.client.find(Locator::Css(selector)).await;
        let element = element.map_err(|error| Failure::new(format!("{selector}: {error}")))?;
        element.click().await.map_err(|error| Failure::new(format!("{selector}: {error}")))
    }

    /// Presses keys one after the other, wherever the focus is.
    ///
    /// # Errors
    /// [`Failure`] if the browser does not answer.
    pub async fn press(&self, keys: &[Key]) -> Result<(), Failure> {
        for &key in keys {
            self.keys(&[char::from(key)]).await?;
        }
        Ok(())
    }

    /// Presses a key while others are held.
    ///
    /// # Errors
    /// [`Failure`] if the browser does not answer.
    pub async fn chord(&self, held: Key, key: Key) -> Result<(), Failure> {
        let (held, value) = (char::from(held), char::from(key));
        let actions = KeyActions::new("keys".into())
            .then(KeyAction::Down { value: held })
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value })
            .then(KeyAction::Up { value: held });
        Ok(self.client.perform_actions(actions).await?)
    }

    /// Types text wherever the focus is.
    ///
    /// # Errors
    /// [`Failure`] if the browser does not answer.
    pub async fn type_text(&self, text: &str) -> Result<(), Failure> {
        self.keys(&text.chars().collect::<Vec<_>>()).await
    }

    async fn keys(&self, values: &[char]) -> Result<(), Failure> {
        let mut actions = KeyActions::new("keys".into());
        for &value in values {
            actions = actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        Ok(self.client.perform_actions(actions).await?)
    }

    /// Makes the page this large, in pixels, and lets the system prefer this look.
    ///
    /// # Errors
    /// [`Failure`] if the browser does not answer.
    pub async fn look(&self, width: u32, height: u32, theme: Theme) -> Result<(), Failure> {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await?;
        let scheme = if theme == Theme::Dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await?;
        Ok(())
    }

    /// Cuts the page off from every network, or connects it again.
    ///
    /// # Errors
    /// [`Failure`] if the browser does not answer.
    pub async fn set_offline(&self, offline: bool) -> Result<(), Failure> {
        self.devtools("Network.enable", json!({})).await?;
        let conditions = json!({
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.devtools("Network.emulateNetworkConditions", conditions).await.map(drop)
    }

    /// A command of the DevTools protocol.
    ///
    /// # Errors
    /// [`Failure`] with what the browser says.
    pub async fn devtools(&self, method: &str, parameters: Value) -> Result<Value, Failure> {
        let body = json!({"cmd": method, "params": parameters});
        let answer = self.client.issue_cmd(Extra { path: "goog/cdp/execute", body }).await;
        answer.map_err(|error| Failure::new(format!("{method}: {error}")))
    }

    /// What the browser shows, as a PNG picture.
    ///
    /// # Errors
    /// [`Failure`] if there is none, or the file cannot be written.
    pub async fn picture(&self, file: &Path) -> Result<(), Failure> {
        Ok(std::fs::write(file, self.client.screenshot().await?)?)
    }

    /// Everything that went wrong since this was last asked: lines of the console that are warnings
    /// or worse, and violations of the page's security policy, errors and rejections that nobody
    /// handled, in the document that is there now.
    ///
    /// # Errors
    /// [`Failure`] if the browser does not answer.
    pub async fn complaints(&self) -> Result<Vec<String>, Failure> {
        let mut complaints = Vec::new();
        let seen = self.run("return globalThis.__seen.splice(0)").await?;
        for line in seen.as_array().into_iter().flatten() {
            complaints.push(line.as_str().unwrap_or_default().to_owned());
        }
        let log = Extra { path: "se/log", body: json!({"type": "browser"}) };
        let log = self.client.issue_cmd(log).await?;
        for entry in log.as_array().into_iter().flatten() {
            let level = entry.get("level").and_then(Value::as_str).unwrap_or_default();
            let message = entry.get("message").and_then(Value::as_str).unwrap_or_default();
            if matches!(level, "SEVERE" | "WARNING") {
                complaints.push(format!("{level}: {message}"));
            }
        }
        Ok(complaints)
    }

    /// What the page takes of the machine's memory.
    ///
    /// # Errors
    /// [`Failure`] if the system or the browser does not say.
    pub async fn memory(&self) -> Result<Memory, Failure> {
        self.devtools("HeapProfiler.collectGarbage", json!({})).await?;
        let heap = self.devtools("Runtime.getHeapUsage", json!({})).await?;
        let heap = heap.get("usedSize").and_then(Value::as_f64).unwrap_or(f64::NAN);
        memory::of_page(&self.folder.path().display().to_string(), heap as u64)
    }

    /// What axe-core finds on the page as it is.
    ///
    /// # Errors
    /// [`Failure`] if it does not run.
    pub async fn axe(&self, rules: Rules) -> Result<Vec<Violation>, Failure> {
        if self.run(axe::IS_THERE).await? != true {
            self.run(axe::LIBRARY).await?;
        }
        axe::violations(&self.run(&rules.script()).await?)
    }

    /// Ends the browser.
    ///
    /// # Errors
    /// [`Failure`] if it does not end by itself; it is killed then.
    pub async fn close(self) -> Result<(), Failure> {
        let Self { client, driver, folder, .. } = self;
        let ended = client.close().await;
        drop((driver, folder));
        Ok(ended?)
    }
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").field("driver", &self.driver.url()).finish_non_exhaustive()
    }
}

/// A command that is not WebDriver's but chromedriver's.
#[derive(Debug)]
struct Extra {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extra {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

impl From<fantoccini::error::CmdError> for Failure {
    fn from(error: fantoccini::error::CmdError) -> Self {
        Self::new(error.to_string())
    }
}
