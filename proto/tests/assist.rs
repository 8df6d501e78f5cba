//! The assist messages on the wire: strict one way, lenient the other, and as their published schemas say.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use commucat_proto::{
    assist::{
        AssistEndpoint, AssistRequest, AssistResponse, CheckResult, Evidence, EvidencePhase, EvidenceSignal,
        Excluded, MAX_RESPONSE_BYTES, Obfuscation, ResponseError, SpecSchema, Version,
    },
    problem::{Problem, ProblemKind},
};
use commucat_transport_api::{Failure, Phase, Signal, Spec, TransportId};
use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

fn spec() -> Spec {
    let mut spec = Spec::new(
        TransportId::from_static("shadowsocks"),
        "192.0.2.7:8388".parse().unwrap(),
        json!({"key": "hunter2"}),
    )
    .unwrap();
    spec.via = Some(Box::new(
        Spec::new(TransportId::from_static("websocket"), "cdn.example:443".parse().unwrap(), Value::Null)
            .unwrap(),
    ));
    spec
}

fn response() -> AssistResponse {
    AssistResponse {
        version: 1,
        generated_at_ms: 1_700_000_000_000,
        valid_for_s: 90,
        server_time_ms: 1_700_000_000_001,
        min_client_version: Version::new(0, 1, 0),
        endpoints: vec![AssistEndpoint {
            spec: spec(),
            priority: 0,
            checked_age_s: 30,
            max_age_s: 120,
            check: CheckResult { ok: true, connect_ms: 12 },
            obfuscation: Obfuscation {
                summary: "looks like HTTPS".to_owned(),
                layers: vec![TransportId::from_static("shadowsocks"), TransportId::from_static("websocket")],
                stream: true,
                datagram: true,
            },
        }],
        unreadable: 0,
    }
}

fn request() -> AssistRequest {
    let failure =
        Failure::new(Phase::Handshake, Signal::TlsAlert(40), Duration::from_millis(1500)).with_bytes(517, 7);
    AssistRequest {
        client_version: Version::new(0, 1, 0),
        capabilities: vec!["chain".to_owned()],
        transports: vec![TransportId::from_static("websocket")],
        count: Some(3),
        exclude: vec![Excluded {
            transport: TransportId::from_static("websocket"),
            endpoint: "[2001:db8::1]:443".parse().unwrap(),
            evidence: Some(Evidence::from(&failure)),
        }],
    }
}

#[test]
fn requests_round_trip() {
    let bytes = serde_json::to_vec(&request()).unwrap();
    assert_eq!(AssistRequest::parse(&bytes).unwrap(), request());
    let least = AssistRequest::parse(br#"{"client_version":"0.1.0"}"#).unwrap();
    assert_eq!(least, AssistRequest { client_version: Version::new(0, 1, 0), ..AssistRequest::default() });
    let evidence = request().exclude[0].evidence.unwrap();
    assert_eq!((evidence.phase, evidence.signal), (EvidencePhase::Handshake, EvidenceSignal::TlsAlert));
}

#[test]
fn each_mistake_says_where_it_is() {
    let cases: [(&str, Option<&str>, usize, &str); 14] = [
        ("", None, 1, "EOF"),
        ("{", None, 1, "EOF"),
        ("{\n \"client_version\" \"0.1.0\"}", None, 2, "expected `:`"),
        ("[]", None, 1, "expected"),
        ("{}", None, 1, "missing field `client_version`"),
        (r#"{"client_version":"0.1.0"} x"#, None, 1, "trailing"),
        (r#"{"client_version":"new"}"#, Some("client_version"), 1, "major.minor.patch"),
        ("{\"client_version\":\"0.1.0\",\n\"fec\":1}", Some("fec"), 2, "unknown field `fec`"),
        (r#"{"client_version":"0.1.0","count":"3"}"#, Some("count"), 1, "invalid type"),
        (r#"{"client_version":"0.1.0","count":0}"#, Some("count"), 0, "at least 1"),
        (r#"{"client_version":"0.1.0","transports":["Web Socket"]}"#, Some("transports[0]"), 1, "transport"),
        (
            r#"{"client_version":"0.1.0","exclude":[{"transport":"websocket","endpoint":"x"}]}"#,
            Some("exclude[0].endpoint"),
            1,
            "no port",
        ),
        (
            r#"{"client_version":"0.1.0","exclude":[{"transport":"a","endpoint":"x:1","why":1}]}"#,
            Some("exclude[0].why"),
            1,
            "unknown field `why`",
        ),
        (r#"{"client_version":"0.1.0","client_version":"0.1.0"}"#, None, 1, "duplicate"),
    ];
    for (body, field, line, reason) in cases {
        let error = AssistRequest::parse(body.as_bytes()).unwrap_err();
        assert_eq!((error.field.as_deref(), error.line), (field, line), "{body}: {error:?}");
        assert!(error.reason.contains(reason), "{body}: {error}");
        assert!(!error.reason.contains(" at line "), "the place stands once: {error}");
    }
}

#[test]
fn damaged_requests_are_errors_with_a_place() {
    let good = serde_json::to_vec(&request()).unwrap();
    for at in 0..good.len() {
        let cut = AssistRequest::parse(&good[..at]).unwrap_err();
        assert!(cut.line == 1 && cut.column <= at + 1, "{cut:?}");
        for flip in [0x01, 0x20, 0x80] {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            // Some flips give another valid request; the others say something.
            if let Err(error) = AssistRequest::parse(&bytes) {
                assert!(!error.to_string().is_empty() && error.to_string().len() < 1024, "{error}");
            }
        }
    }
}

#[test]
fn lists_have_limits() {
    for field in ["capabilities", "transports"] {
        let body = |count: usize| json!({"client_version": "0.1.0", field: vec!["a"; count]}).to_string();
        assert!(AssistRequest::parse(body(16).as_bytes()).is_ok());
        let error = AssistRequest::parse(body(17).as_bytes()).unwrap_err();
        assert_eq!(error.field.as_deref(), Some(field));
    }
    let long = json!({"client_version": "0.1.0", "capabilities": ["c".repeat(33)]}).to_string();
    assert_eq!(AssistRequest::parse(long.as_bytes()).unwrap_err().field.as_deref(), Some("capabilities"));
}

#[test]
fn new_kinds_of_evidence_are_no_error() {
    let body = json!({"client_version": "9.0.0", "capabilities": ["telepathy"], "exclude": [
        {"transport": "websocket", "endpoint": "x:1",
         "evidence": {"phase": "dreaming", "signal": "frozen_after_16_kib", "elapsed_ms": 1}}]});
    let request = AssistRequest::parse(body.to_string().as_bytes()).unwrap();
    let evidence = request.exclude[0].evidence.unwrap();
    assert_eq!((evidence.phase, evidence.signal), (EvidencePhase::Other, EvidenceSignal::Other));
    assert!(request.can("telepathy") && !request.can("chain"));
}

#[test]
fn every_signal_keeps_the_contract_s_name() {
    let signals = [
        Signal::Timeout,
        Signal::Refused,
        Signal::Reset,
        Signal::Unreachable,
        Signal::LocalNetworkDown,
        Signal::NameNotFound,
        Signal::DnsPoisoned,
        Signal::TlsAlert(1),
        Signal::WrongCertificate,
        Signal::HttpStatus(404),
        Signal::UnexpectedEof,
        Signal::UnexpectedBytes,
        Signal::AuthRejected,
        Signal::UnknownUser,
        Signal::ClockSkew(-3),
        Signal::VersionTooOld,
        Signal::BridgeFull,
        Signal::TargetUnreachable,
        Signal::Throttled,
        Signal::Other,
    ];
    for signal in signals {
        let contract = match serde_json::to_value(&signal).unwrap() {
            Value::String(name) => name,
            object => object.as_object().unwrap().keys().next().unwrap().clone(),
        };
        assert_eq!(serde_json::to_value(EvidenceSignal::from(&signal)).unwrap(), contract);
    }
}

#[test]
fn answers_are_read_leniently() {
    let mut value = serde_json::to_value(response()).unwrap();
    assert_eq!(AssistResponse::parse(value.to_string().as_bytes()).unwrap(), response());

    value["mood"] = json!("sunny");
    value["endpoints"][0]["colour"] = json!("blue");
    assert_eq!(AssistResponse::parse(value.to_string().as_bytes()).unwrap(), response());

    let mut newer = value["endpoints"][0].clone();
    newer["spec"]["quantum"] = json!(true);
    value["endpoints"].as_array_mut().unwrap().insert(0, newer);
    let read = AssistResponse::parse(value.to_string().as_bytes()).unwrap();
    assert_eq!((read.endpoints.len(), read.unreadable), (1, 1));

    value["version"] = json!(2);
    let error = AssistResponse::parse(value.to_string().as_bytes()).unwrap_err();
    assert!(matches!(error, ResponseError::Version { found: 2 }));
    assert!(matches!(AssistResponse::parse(b"<html>"), Err(ResponseError::Json(_))));
    assert!(matches!(
        AssistResponse::parse(&vec![b' '; MAX_RESPONSE_BYTES + 1]),
        Err(ResponseError::TooLong)
    ));
}

#[test]
fn an_answer_does_not_print_keys() {
    let shown = format!("{:?}", response());
    assert!(!shown.contains("hunter2") && !shown.contains("192.0.2.7"), "{shown}");
    assert!(shown.contains("websocket"));
}

#[test]
fn problems_are_rfc_9457() {
    let problem = Problem::new(ProblemKind::RateLimited)
        .with_detail("slow down")
        .with("retry_after_s", 3)
        .with_instance("/x");
    let value = serde_json::to_value(&problem).unwrap();
    let expected = json!({"type": "/problems/rate-limited", "title": "Too many requests", "status": 429,
        "detail": "slow down", "instance": "/x", "retry_after_s": 3});
    assert_eq!(value, expected);
    let read = Problem::read(429, value.to_string().as_bytes());
    assert_eq!(
        (read.kind(), read.extra["retry_after_s"].as_u64()),
        (Some(ProblemKind::RateLimited), Some(3))
    );

    let foreign = Problem::read(502, b"<html>bad gateway</html>");
    assert_eq!((foreign.status, foreign.type_uri.as_str(), foreign.kind()), (502, "about:blank", None));
    assert_eq!(Problem::read(500, b"{}").status, 500);
    assert!(Problem::new(ProblemKind::Internal).with_detail("ü".repeat(1000)).detail.unwrap().len() <= 1024);
    for kind in ProblemKind::ALL {
        assert_eq!(Problem::new(kind).kind(), Some(kind));
        assert!((400..600).contains(&kind.status()));
    }
}

/// The schema of a type, with all it refers to where a validator looks for it.
fn schema_of<T: ToSchema + PartialSchema>() -> Value {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    parts.push((T::name().into_owned(), T::schema()));
    let definitions: serde_json::Map<String, Value> =
        parts.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap())).collect();
    json!({"$ref": format!("#/components/schemas/{}", T::name()), "components": {"schemas": definitions}})
}

fn assert_valid<T: ToSchema + PartialSchema>(instance: &Value) {
    let schema = schema_of::<T>();
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("the schema itself: {error}"));
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(instance).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{instance:#}\n{schema:#}");
}

fn assert_invalid<T: ToSchema + PartialSchema>(instance: &Value) {
    assert!(!jsonschema::draft202012::new(&schema_of::<T>()).unwrap().is_valid(instance), "{instance}");
}

#[test]
fn messages_are_as_their_schemas_say() {
    assert_valid::<AssistRequest>(&serde_json::to_value(request()).unwrap());
    assert_valid::<AssistRequest>(&json!({"client_version": "0.1.0"}));
    assert_valid::<AssistResponse>(&serde_json::to_value(response()).unwrap());
    assert_valid::<SpecSchema>(&serde_json::to_value(spec()).unwrap());
    for kind in ProblemKind::ALL {
        assert_valid::<Problem>(&serde_json::to_value(Problem::new(kind).with("line", 1)).unwrap());
    }
    assert_invalid::<AssistRequest>(&json!({}));
    assert_invalid::<AssistRequest>(&json!({"client_version": "0.1.0", "fec": 1}));
    assert_invalid::<AssistRequest>(&json!({"client_version": "0.1.0", "count": 0}));
    assert_invalid::<AssistResponse>(&json!({"version": 1}));
    assert_invalid::<SpecSchema>(&json!({"transport": "Web Socket", "endpoint": "x:1"}));
}

#[test]
fn the_schema_and_the_reader_agree() {
    let with = |mut body: Value| {
        body["client_version"] = json!("0.1.0");
        body
    };
    let evidence =
        |e: Value| with(json!({"exclude": [{"transport": "a", "endpoint": "x:1", "evidence": e}]}));
    for good in [
        with(json!({"capabilities": ["a-new-one"], "count": null})),
        with(json!({"exclude": [{"transport": "a", "endpoint": "[::1]:65535", "evidence": null}]})),
        evidence(json!({"phase": "AAA", "signal": "frozen", "elapsed_ms": 9_007_199_254_740_991_u64})),
        json!({"client_version": "9999.0.1-rc.1+x"}),
    ] {
        assert_valid::<AssistRequest>(&good);
        AssistRequest::parse(good.to_string().as_bytes()).unwrap();
    }
    for bad in [
        with(json!({"count": 256})),
        with(json!({"capabilities": ["Ж"]})),
        with(json!({"capabilities": [""]})),
        with(json!({"transports": ["\u{17}+"]})),
        with(json!({"exclude": [{"transport": "a", "endpoint": "x:65536"}]})),
        evidence(json!({"phase": "data", "signal": "reset", "elapsed_ms": 9_007_199_254_740_992_u64})),
        evidence(json!({"phase": "data", "signal": "reset", "elapsed_ms": -1})),
        json!({"client_version": "10000.0.1"}),
        json!({"client_version": "1.0.1 "}),
    ] {
        assert_invalid::<AssistRequest>(&bad);
        AssistRequest::parse(bad.to_string().as_bytes()).unwrap_err();
    }
}
