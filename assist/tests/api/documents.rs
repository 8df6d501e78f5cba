//! The published description, and the guide for authors of clients: both say what the code does.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, sync::LazyLock};

use commucat_assist::{ApiToken, TunnelUser};
use commucat_proto::assist::{AssistRequest, AssistResponse};
use commucat_transport_api::Secret;
use serde_json::{Value, json};

use crate::fixture::{fixture, in_tunnel, json_of, post, roomy};

static OPENAPI: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(commucat_assist::openapi()).unwrap());

fn docs(file: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../docs/src").join(file)
}

/// Checks a value against a schema of the published description.
pub(crate) fn assert_valid(schema: &str, value: &Value) {
    let root = json!({"$ref": format!("#/components/schemas/{schema}"), "components": OPENAPI["components"]});
    let validator = jsonschema::draft202012::new(&root).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{schema}: {errors:#?}\n{value:#}");
}

#[test]
fn the_description_is_openapi_3_1_and_whole() {
    assert_eq!(OPENAPI["openapi"], "3.1.0");
    let mut references = Vec::new();
    collect_references(&OPENAPI, &mut references);
    assert!(references.len() > 5);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a local reference");
        assert!(OPENAPI.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    for (name, schema) in OPENAPI["components"]["schemas"].as_object().unwrap() {
        jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(schema["description"].is_string(), "{name} has no description");
    }
    let mut ids = Vec::new();
    for (path, item) in OPENAPI["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            ids.push(operation["operationId"].as_str().unwrap());
            assert!(operation["summary"].is_string(), "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let media_types: Vec<&String> = response["content"].as_object().unwrap().keys().collect();
                let problem = status.parse::<u16>().unwrap() >= 400;
                assert_eq!(media_types == ["application/problem+json"], problem, "{method} {path} {status}");
            }
        }
    }
    ids.sort_unstable();
    assert_eq!(ids, ["assist", "livez", "openapi"]);
}

fn collect_references<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            into.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| collect_references(value, into));
        }
        Value::Array(array) => array.iter().for_each(|value| collect_references(value, into)),
        _ => {}
    }
}

#[tokio::test]
async fn the_bridge_serves_the_published_description() {
    let fixture = fixture(roomy()).await;
    let request = axum::http::Request::get("/api/openapi.json").body(axum::body::Body::empty()).unwrap();
    let response = fixture.send(request).await;
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(json_of(response).await, *OPENAPI);
}

#[test]
fn the_committed_description_is_the_one_of_the_code() {
    let path = docs("openapi.json");
    let now = serde_json::to_string_pretty(&*OPENAPI).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let committed: Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap_or_default()).unwrap_or_default();
    assert!(
        committed == *OPENAPI,
        "docs/src/openapi.json is not what the code describes. If the change is meant, run\n    \
         UPDATE=1 cargo test -p commucat-assist --test api committed"
    );
}

#[tokio::test]
async fn answers_are_as_described() {
    let fixture = fixture(roomy()).await;
    let body = json!({"client_version": "0.1.0", "capabilities": ["chain"]});
    assert_valid("AssistRequest", &body);
    assert_valid("AssistResponse", &fixture.assist_json("alice", &body).await);
}

/// The fenced blocks of the guide, by the name in the comment before each: `<!-- example: NAME -->`.
fn examples() -> BTreeMap<String, String> {
    let guide = fs::read_to_string(docs("assist-api.md")).unwrap();
    let mut examples = BTreeMap::new();
    for part in guide.split("<!-- example: ").skip(1) {
        let (name, rest) = part.split_once(" -->").unwrap();
        let (_fence, rest) = rest.split_once("```").unwrap();
        let (_language, rest) = rest.split_once('\n').unwrap();
        let (block, _rest) = rest.split_once("```").unwrap();
        examples.insert(name.to_owned(), block.to_owned());
    }
    examples
}

#[tokio::test]
async fn the_examples_of_the_guide_are_true() {
    let examples = examples();
    let fixture = fixture(roomy()).await;

    for name in ["request", "request-after-failure"] {
        AssistRequest::parse(examples[name].as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let value: Value = serde_json::from_str(&examples[name]).unwrap();
        assert_valid("AssistRequest", &value);
        fixture.assist_json("alice", &value).await;
    }

    let answer: Value = serde_json::from_str(&examples["answer"]).unwrap();
    assert_valid("AssistResponse", &answer);
    let read = AssistResponse::parse(examples["answer"].as_bytes()).unwrap();
    assert_eq!(read.unreadable, 0);
    let real = fixture.assist_json("alice", &serde_json::from_str(&examples["request"]).unwrap()).await;
    assert_eq!(shape(&answer), shape(&real), "the example has the fields of a real answer");

    let problem: Value = serde_json::from_str(&examples["problem"]).unwrap();
    let bad = examples["bad-request"].clone();
    let real = json_of(fixture.send(in_tunnel(post(bad), "alice")).await).await;
    assert_eq!(problem, real);
}

/// The field names of a value, without what a transport calls its own.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| (key.clone(), if key == "params" { Value::Null } else { shape(value) }))
            .collect(),
        Value::Array(array) => array.first().map_or(Value::Null, |first| json!([shape(first)])),
        _ => Value::Null,
    }
}

/// The commands of the guide, run by a shell as they stand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_guide_work() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var("CI").is_err(), "CI must run this: apt-get install curl");
        println!("skipped: curl (apt-get install curl)");
        return;
    }
    let examples = examples();
    let fixture = fixture(roomy()).await;
    let token = ApiToken::of(&Secret::new([1; 32])).to_text();
    // The end of a tunnel: the bridge knows whose it is.
    let tunnel = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = format!("--connect-to ::{}", tunnel.local_addr().unwrap());
    let router = fixture.router.clone().layer(axum::Extension(TunnelUser("alice".parse().unwrap())));
    tokio::spawn(async move { axum::serve(tunnel, router).await });
    for name in ["curl", "curl-token"] {
        let mut shell = Command::new("sh");
        // Where the guide goes through the client's proxy, the test goes straight to the end of the tunnel.
        shell.args(["-ec", &examples[name]]).env("TOKEN", token.expose()).env("THROUGH", &through);
        shell.env("BRIDGE", format!("http://{}", fixture.address)).env("no_proxy", "*");
        let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
        assert_valid("AssistResponse", &answer);
        assert_eq!(answer["endpoints"].as_array().unwrap().len(), 2, "{name}: {text}");
    }
}
