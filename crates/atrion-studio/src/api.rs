//! The paths: who gets what.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{ALLOW, CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::action::{EXPIRY_SECS, Wanted};
use crate::answer::{ApiError, json_with, protect, text};
use crate::assets;
use crate::audit::AUDIT;
use crate::confirm::CONFIRM_SECS;
use crate::event::{EVENTS, now_ms};
use crate::frame::COLUMNS;
use crate::guard::{self, Refusal};
use crate::preview;
use crate::server::Peer;
use crate::settings;
use crate::source;
use crate::stream;
use crate::studio::Shared;

/// Most bytes of a request's body.
const BODY: usize = 64 * 1024;
const JSON: &str = "application/json";

type Answer = Result<Response, ApiError>;
type Here = State<Arc<Shared>>;

/// All paths that this Studio has.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let mut router = Router::new()
        .route("/", get(index))
        .route("/index.html", get(async || serve_asset("index.html", None)))
        .route("/assets/{*path}", get(asset))
        .route("/api/v1/access", get(access))
        .route("/api/v1/session", get(session))
        .route("/api/v1/license", get(license))
        .route("/api/v1/overview", get(overview))
        .route("/api/v1/stream", get(stream))
        .route("/api/v1/routes/{id}", get(route))
        .route("/api/v1/routes/{id}/stream", get(route_stream))
        .route("/api/v1/cluster", get(cluster))
        .route("/api/v1/events", get(events))
        .route("/api/v1/config", get(config));
    if shared.settings.actions {
        router = router
            .route("/api/v1/actions/prepare", post(prepare))
            .route("/api/v1/actions/commit", post(commit))
            .route("/api/v1/audit", get(audit));
    }
    if shared.settings.preview {
        router = router
            .route("/api/v1/preview", get(preview_state))
            .route("/api/v1/preview/record", post(preview_record))
            .route("/api/v1/preview/run", post(preview_run))
            .route("/api/v1/preview/check", post(preview_check))
            .route("/api/v1/preview/discard", post(preview_discard));
    }
    router
        .fallback(async || ApiError::not_found("not_found", "there is nothing here"))
        .method_not_allowed_fallback(async || {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "not with this method",
            )
        })
        .layer(from_fn_with_state(Arc::clone(shared), protected))
        .with_state(Arc::clone(shared))
}

/// Lets a request in or not, and gives every answer its headers.
async fn protected(State(shared): Here, request: Request, next: Next) -> Response {
    let mut response = match admit(&shared, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && !response.headers().contains_key(ALLOW)
    {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    }
    protect(response.headers_mut());
    response
}

fn admit(shared: &Shared, request: &Request) -> Result<(), ApiError> {
    let path = request.uri().path();
    guard::check(&shared.settings.hosts, request.method(), request.uri(), request.headers())
        .map_err(refused)?;
    let Some(name) = path.strip_prefix("/api/") else { return Ok(()) };
    if name == "v1/access" {
        return Ok(());
    }
    if let Some(token) = &shared.settings.token {
        let unauthorized =
            |code, message: &str| ApiError::new(StatusCode::UNAUTHORIZED, code, message);
        let Some(offered) = guard::bearer(request.headers()) else {
            return Err(unauthorized(
                "token_required",
                "show the token in the header Authorization: Bearer",
            ));
        };
        if !token.is(offered) {
            if let Err(secs) = shared.wrong_token() {
                let mut error = ApiError::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too_many_attempts",
                    "too many wrong tokens; the right one is always let in",
                );
                error.retry_after_secs = Some(secs.ceil() as u64);
                return Err(error);
            }
            tracing::warn!(from = from(request), "Studio: a wrong token was shown");
            return Err(unauthorized("token_wrong", "this is not the token"));
        }
    }
    if !matches!(name, "v1/session" | "v1/license") && !shared.gate.is_open() {
        let message = shared.gate.message();
        return Err(ApiError::new(StatusCode::FORBIDDEN, "unlicensed", message));
    }
    Ok(())
}

fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Host => ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host_refused",
            "Studio is not called that; its builder can allow the name with allow_host",
        ),
        Refusal::CrossSite => {
            ApiError::new(StatusCode::FORBIDDEN, "cross_site", "this came from another site")
        }
        Refusal::TokenInUrl => ApiError::new(
            StatusCode::BAD_REQUEST,
            "token_in_url",
            "a token does not belong in a URL, where logs and histories keep it",
        ),
        Refusal::JsonRequired => ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "json_required",
            "send application/json",
        ),
    }
}

/// Where a request came from, for the log: what our own server knows, or that of an application
/// which gives its services `ConnectInfo`.
fn from(request: &Request) -> String {
    let extensions = request.extensions();
    let ours = extensions.get::<Peer>().map(|peer| peer.addr);
    let addr = ours.or_else(|| extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0));
    addr.map_or_else(|| "unknown".to_owned(), |addr| addr.ip().to_canonical().to_string())
}

/// A member of the URL's query as a number.
fn number(uri: &Uri, name: &str) -> Result<Option<u64>, ApiError> {
    let pairs = uri.query().unwrap_or("").split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back();
    let parse = |value: &str| {
        value.parse().map_err(|_| ApiError::bad(format!("`{name}` is no whole number")))
    };
    value.map(parse).transpose()
}

/// `after` and `limit` of a page.
fn page(uri: &Uri, most: usize) -> Result<(u64, usize), ApiError> {
    let limit = number(uri, "limit")?.unwrap_or(200);
    if limit == 0 || limit > most as u64 {
        return Err(ApiError::out_of_range("limit", limit as f64, "entries", 1.0, most as f64));
    }
    Ok((number(uri, "after")?.unwrap_or(0), limit as usize))
}

/// Reads a body of JSON, within its bounds of size and time.
async fn body<T: DeserializeOwned>(shared: &Shared, request: Request) -> Result<T, ApiError> {
    let read = to_bytes(request.into_body(), BODY);
    let too_slow =
        |_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body took too long");
    let too_large = |_| {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "a body has 65536 bytes at most, and an end",
        )
    };
    let bytes = tokio::time::timeout(shared.settings.patience, read)
        .await
        .map_err(too_slow)?
        .map_err(too_large)?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::bad(error.to_string()))
}

fn id(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::no_such_route())
}

async fn index(uri: axum::extract::OriginalUri) -> Response {
    // Relative URLs need a slash. With the name behind it, it is found even where an application
    // keeps `/studio/` for itself, as `Router::nest` does.
    if !uri.path().ends_with('/') {
        let last = uri.path().rsplit('/').next().unwrap_or("");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        if let Ok(location) = HeaderValue::from_str(&format!("./{last}/index.html")) {
            response.headers_mut().insert(http::header::LOCATION, location);
        }
        return response;
    }
    serve_asset("index.html", None)
}

async fn asset(Path(path): Path<String>, request: Request) -> Response {
    serve_asset(&path, request.headers().get(IF_NONE_MATCH))
}

fn serve_asset(path: &str, known: Option<&HeaderValue>) -> Response {
    let Some(asset) = assets::find(path) else {
        return ApiError::not_found("not_found", "there is nothing here").into_response();
    };
    let is_known = known.is_some_and(|known| known.as_bytes() == asset.etag.as_bytes());
    let body = if is_known { Body::empty() } else { Body::from(asset.bytes.clone()) };
    let mut response = text(asset.content_type, body);
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(&asset.etag) {
        headers.insert(ETAG, etag);
    }
    response
}

async fn access(State(shared): Here) -> Response {
    let token_required = shared.settings.token.is_some();
    ok(&json!({"product": "atrion-studio", "api": 1, "token_required": token_required}))
}

fn ok(value: &Value) -> Response {
    json_with(StatusCode::OK, value)
}

async fn session(State(shared): Here) -> Response {
    let settings = &shared.settings;
    let tiers: Vec<Value> =
        source::tiers().map(|(name, volt)| json!({"name": name, "volt": volt})).collect();
    ok(&json!({
        "version": env!("CARGO_PKG_VERSION"), "api": 1, "now_ms": now_ms(),
        "started_ms": shared.started_ms, "instance": settings.instance,
        "actions": settings.actions, "preview": settings.preview, "history": settings.history,
        "interval_ms": settings.interval.as_millis() as u64,
        "license": shared.gate.describe(),
        "columns": COLUMNS, "modes": source::MODES, "flags": source::FLAGS, "causes": source::CAUSES,
        "tiers": tiers,
        "limits": {
            "events": EVENTS, "audit": AUDIT, "history": settings.history_samples,
            "history_routes": settings.history_routes, "viewers": settings.most_viewers,
            "expiry_secs": [EXPIRY_SECS.0, EXPIRY_SECS.1], "confirm_secs": CONFIRM_SECS,
            "preview_secs": [preview::SECS.0, preview::SECS.1],
        },
    }))
}

async fn license(State(shared): Here) -> Response {
    ok(&shared.gate.describe())
}

async fn overview(State(shared): Here) -> Answer {
    let whole = shared.ask(crate::desk::Desk::whole).await?;
    Ok(text(JSON, whole))
}

fn full() -> ApiError {
    let mut error = ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too_many_viewers",
        "as many are looking as are allowed to",
    );
    error.retry_after_secs = Some(5);
    error
}

async fn stream(State(shared): Here, request: Request) -> Answer {
    let viewer = shared.viewer().ok_or_else(full)?;
    let peer = request.extensions().get::<Peer>().cloned();
    let feed = shared.ask(crate::desk::Desk::subscribe).await?;
    Ok(stream::overview(shared, feed, viewer, peer))
}

async fn route(State(shared): Here, Path(text): Path<String>) -> Answer {
    let id = id(&text)?;
    let described = shared.ask(move |desk| desk.describe_route(id, true)).await?;
    Ok(ok(&described.ok_or_else(ApiError::no_such_route)?))
}

async fn route_stream(State(shared): Here, Path(text): Path<String>, request: Request) -> Answer {
    let id = id(&text)?;
    let viewer = shared.viewer().ok_or_else(full)?;
    let peer = request.extensions().get::<Peer>().cloned();
    let feed = shared.ask(move |desk| desk.subscribe_route(id)).await?;
    let feed = feed.ok_or_else(ApiError::no_such_route)?;
    Ok(stream::route(shared, id, feed, viewer, peer))
}

async fn cluster(State(shared): Here) -> Answer {
    Ok(ok(&shared.ask(crate::desk::Desk::describe_cluster).await?))
}

async fn events(State(shared): Here, uri: Uri) -> Answer {
    let (after, limit) = page(&uri, EVENTS)?;
    Ok(ok(&shared.ask(move |desk| desk.describe_events(after, limit)).await?))
}

async fn audit(State(shared): Here, uri: Uri) -> Answer {
    let (after, limit) = page(&uri, AUDIT)?;
    Ok(ok(&shared.ask(move |desk| desk.describe_audit(after, limit)).await?))
}

async fn config(State(shared): Here) -> Answer {
    Ok(ok(&shared.ask(crate::desk::Desk::describe_config).await?))
}

async fn prepare(State(shared): Here, request: Request) -> Answer {
    let wanted: Wanted = body(&shared, request).await?;
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|_| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "the system gives no random bytes")
    })?;
    let key = blake3::hash(&random).to_hex().to_string();
    Ok(ok(&shared.ask(move |desk| desk.prepare(&wanted, key)).await??))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmed {
    confirm: String,
}

async fn commit(State(shared): Here, request: Request) -> Answer {
    let from = from(&request);
    let Confirmed { confirm } = body(&shared, request).await?;
    Ok(ok(&shared.ask(move |desk| desk.commit(&confirm, from)).await??))
}

async fn preview_state(State(shared): Here) -> Response {
    ok(&shared.preview.describe())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    route: u64,
    secs: f64,
}

async fn preview_record(State(shared): Here, request: Request) -> Answer {
    let Record { route, secs } = body(&shared, request).await?;
    let name = shared.ask(move |desk| desk.overview.name(route).cloned()).await?;
    let name = name.ok_or_else(ApiError::no_such_route)?;
    shared.preview.record(route, &name, secs)?;
    Ok(json_with(StatusCode::ACCEPTED, &shared.preview.describe()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configured {
    config: Map<String, Value>,
}

async fn preview_run(State(shared): Here, request: Request) -> Answer {
    let Configured { config } = body(&shared, request).await?;
    shared.preview.run(settings::read(Some(&config))?)?;
    Ok(json_with(StatusCode::ACCEPTED, &shared.preview.describe()))
}

async fn preview_check(State(shared): Here, request: Request) -> Answer {
    let Configured { config } = body(&shared, request).await?;
    let config = settings::read(Some(&config))?;
    let current = shared.ask(|desk| desk.atrion.config()).await?;
    Ok(ok(&json!({"valid": true, "changes": settings::changes(&current, &config)})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn preview_discard(State(shared): Here, request: Request) -> Answer {
    let Nothing {} = body(&shared, request).await?;
    shared.preview.discard();
    Ok(ok(&shared.preview.describe()))
}
