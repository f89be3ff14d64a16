//! The manifests of `docs/kubernetes.md`.
//!
//! Read into types that know the fields the page uses and refuse all others, so that a misspelt
//! field is found here and not by a cluster, which ignores it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::{fences, page, pages};
use atrion::tower::AtrionLayer;
use atrion::{Atrion, Force};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use serde::Deserialize;
use tower::ServiceExt;
use yaml_rust2::{Yaml, YamlLoader};

type Labels = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Manifest<Spec> {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    labels: Labels,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Selector {
    match_labels: Labels,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deployment {
    replicas: u32,
    selector: Selector,
    strategy: Strategy,
    template: Template,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Strategy {
    rolling_update: RollingUpdate,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RollingUpdate {
    max_surge: u32,
    max_unavailable: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    metadata: Metadata,
    spec: PodSpec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PodSpec {
    termination_grace_period_seconds: u32,
    containers: Vec<Container>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Container {
    name: String,
    image: String,
    ports: Vec<ContainerPort>,
    env: Vec<Variable>,
    readiness_probe: Probe,
    liveness_probe: Probe,
    resources: Resources,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ContainerPort {
    name: String,
    container_port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Variable {
    name: String,
    value_from: ValueFrom,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ValueFrom {
    secret_key_ref: SecretKey,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretKey {
    name: String,
    key: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Probe {
    http_get: HttpGet,
    period_seconds: u32,
    #[serde(default = "three")]
    failure_threshold: u32,
}

const fn three() -> u32 {
    3
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpGet {
    path: String,
    port: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resources {
    requests: BTreeMap<String, String>,
    limits: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    selector: Labels,
    ports: Vec<ServicePort>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServicePort {
    name: String,
    port: u16,
    target_port: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Budget {
    max_unavailable: u32,
    selector: Selector,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IngressPolicy {
    pod_selector: Selector,
    policy_types: Vec<String>,
    ingress: Vec<Ingress>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ingress {
    from: Vec<Source>,
    ports: Vec<PolicyPort>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Source {
    pod_selector: Selector,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyPort {
    protocol: String,
    port: u16,
}

/// What serde can read, of what YAML can say.
fn json(yaml: &Yaml) -> serde_json::Value {
    match yaml {
        Yaml::String(text) => text.clone().into(),
        Yaml::Integer(number) => (*number).into(),
        Yaml::Boolean(truth) => (*truth).into(),
        Yaml::Array(items) => items.iter().map(json).collect(),
        Yaml::Hash(fields) => {
            let text = |key: &Yaml| key.as_str().expect("a name").to_owned();
            fields.iter().map(|(key, value)| (text(key), json(value))).collect()
        }
        other => panic!("no manifest has {other:?}"),
    }
}

/// Every document of every block of YAML on the page.
fn documents() -> Vec<serde_json::Value> {
    let mut found = Vec::new();
    for (line, text) in fences(&page("kubernetes.md"), "yaml") {
        let documents = YamlLoader::load_from_str(&text);
        let documents = documents.unwrap_or_else(|e| panic!("docs/kubernetes.md:{line}: {e}"));
        found.extend(documents.iter().map(json));
    }
    found
}

fn the<T: serde::de::DeserializeOwned>(api: &str, kind: &str) -> Manifest<T> {
    let mut all = documents();
    all.retain(|document| document["kind"] == kind);
    assert_eq!(all.len(), 1, "one {kind}");
    let manifest: Manifest<T> =
        serde_json::from_value(all.remove(0)).unwrap_or_else(|e| panic!("{kind}: {e}"));
    assert_eq!((manifest.api_version.as_str(), manifest.kind.as_str()), (api, kind));
    assert!(!manifest.metadata.name.is_empty(), "{kind} has a name");
    manifest
}

#[test]
fn every_file_in_yaml_can_be_read() {
    for name in pages() {
        for (line, text) in fences(&page(&name), "yaml") {
            let read = YamlLoader::load_from_str(&text);
            assert!(read.is_ok(), "docs/{name}:{line}: {}", read.unwrap_err());
        }
    }
}

#[test]
fn the_manifests_fit_together() {
    let deployment: Manifest<Deployment> = the("apps/v1", "Deployment");
    let service: Manifest<Service> = the("v1", "Service");
    let budget: Manifest<Budget> = the("policy/v1", "PodDisruptionBudget");
    let policy: Manifest<IngressPolicy> = the("networking.k8s.io/v1", "NetworkPolicy");
    assert_eq!(documents().len(), 4, "and nothing that is not looked at");

    let labels = &deployment.spec.template.metadata.labels;
    assert_eq!(&deployment.spec.selector.match_labels, labels);
    assert_eq!(&service.spec.selector, labels);
    assert_eq!(&budget.spec.selector.match_labels, labels);
    assert_eq!(&policy.spec.ingress[0].from[0].pod_selector.match_labels, labels);
    assert_ne!(&policy.spec.pod_selector.match_labels, labels, "it guards Redis");
    assert_eq!(policy.spec.policy_types, ["Ingress"]);
    let port = &policy.spec.ingress[0].ports[0];
    assert_eq!((port.protocol.as_str(), port.port), ("TCP", 6379));

    assert!(deployment.spec.replicas > budget.spec.max_unavailable, "pods are left");
    let update = &deployment.spec.strategy.rolling_update;
    assert_eq!((update.max_surge, update.max_unavailable), (1, 0));

    let pod = &deployment.spec.template.spec;
    assert!(pod.termination_grace_period_seconds >= 10, "time for requests in flight");
    let container = &pod.containers[0];
    assert_eq!(container.name, deployment.metadata.name);
    assert!(!container.image.is_empty());
    let named = |port: &str| container.ports.iter().any(|p| p.name == port && p.container_port > 0);
    assert!(named(&service.spec.ports[0].target_port));
    assert!(named(&service.spec.ports[0].name) && service.spec.ports[0].port > 0);
    for probe in [&container.readiness_probe, &container.liveness_probe] {
        assert!(named(&probe.http_get.port) && probe.period_seconds > 0);
        assert!(probe.failure_threshold >= 3, "one late answer restarts nothing");
    }
    assert!(container.resources.requests.contains_key("cpu"));
    assert!(!container.resources.limits.contains_key("cpu"), "as the page advises");
    for variable in &container.env {
        let secret = &variable.value_from.secret_key_ref;
        let shown = page("kubernetes.md");
        assert!(shown.contains(&format!("secret generic {} ", secret.name)), "{variable:?}");
        assert!(shown.contains(&format!("={}=", secret.key)), "{variable:?}");
    }
    let names: Vec<&str> = container.env.iter().map(|variable| variable.name.as_str()).collect();
    assert_eq!(names, ["REDIS_URL", "ATRION_LICENSE_KEY"]);
}

/// A probe that is shed kills a healthy pod.
#[tokio::test]
async fn the_probes_pass_a_closed_door() {
    let deployment: Manifest<Deployment> = the("apps/v1", "Deployment");
    let container = &deployment.spec.template.spec.containers[0];
    let atrion = Atrion::builder().build().unwrap();
    let app = Router::new()
        .route("/search", get(|| async { "found" }))
        .route(&container.readiness_probe.http_get.path, get(|| async { "ready" }))
        .route(&container.liveness_probe.http_get.path, get(|| async { "alive" }))
        .layer(AtrionLayer::server(&atrion));
    let status = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap().status()
    };
    assert_eq!(status("/search").await, StatusCode::OK);
    for route in atrion.routes() {
        route.force(Force::Open, Duration::from_secs(600));
    }
    assert_eq!(status("/search").await, StatusCode::SERVICE_UNAVAILABLE);
    for probe in [&container.readiness_probe, &container.liveness_probe] {
        let path = &probe.http_get.path;
        for route in atrion.routes() {
            route.force(Force::Open, Duration::from_secs(600));
        }
        assert_eq!(status(path).await, StatusCode::OK, "{path}");
    }
}

#[test]
fn a_misspelt_field_is_noticed() {
    let mut document = documents().remove(0);
    document["spec"]["replica"] = 3.into();
    let read: Result<Manifest<Deployment>, _> = serde_json::from_value(document);
    assert!(read.unwrap_err().to_string().contains("replica"));
}
