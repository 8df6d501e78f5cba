//! Broken configurations: each names file, line, column and key. And what the environment may change.

use std::path::Path;

use super::*;

fn parse(text: &str, env: &[(&str, &str)]) -> Result<(BridgeConfig, Vec<EnvWarning>), ConfigFileError> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    BridgeConfig::parse(text, ConfigFormat::Toml, Some(Path::new("b.toml")), env)
}

fn error(text: &str) -> String {
    parse(text, &[]).unwrap_err().to_string()
}

const GOOD: &str = "[[endpoints]]\ntransport = \"x\"\nlisten = \"127.0.0.1:1\"\n";

#[test]
fn each_mistake_points_at_file_line_and_key() {
    let cases = [
        ("[server]\ndomain = \n", "b.toml:2:10: "),
        ("[server]\ndomian = \"x\"\n", "b.toml:2:1: server.domian: unknown key; did you mean `domain`?"),
        ("[serve]\n", "b.toml:1:2: serve: unknown key; did you mean `server`?"),
        (
            "[server]\nmax_connections = \"many\"\n",
            "b.toml:2:1: server.max_connections: expected u32, found a text",
        ),
        (
            "[server]\nmax_connections = -1\n",
            "b.toml:2:1: server.max_connections: out of range: expected u32",
        ),
        (
            "[[endpoints]]\nlisten = \"127.0.0.1:1\"\n",
            "b.toml:1:1: endpoints[0].transport: this key is required and missing",
        ),
        (
            "[[endpoints]]\ntransport = \"x\"\n\n[[endpoints]]\ntransport = \"x\"\nlisten = \"nowhere\"\n",
            "b.toml:6:1: endpoints[1].listen: no port",
        ),
        ("", "b.toml:1:1: endpoints: a bridge needs at least one endpoint"),
        ("[log]\nformat = \"jsno\"\n", "b.toml:2:1: log.format: unknown value; did you mean `json`?"),
        ("[storage]\nredis_url = \"redis://x\"\n", "b.toml:2:1: storage.redis_url: not built yet: "),
        ("[crypto]\nnoise_private = \"00\"\n", "b.toml:1:2: crypto: not built yet: "),
        ("[pairing]\nttl_seconds = 600\n", "b.toml:1:2: pairing: not built yet: "),
        ("[server]\ntls_cert = \"c.pem\"\n", "b.toml:2:1: server.tls_cert: server.tls_key is missing"),
        ("[server]\ndomain = \"192.0.2.1\"\n", "b.toml:2:1: server.domain: this is an address"),
        ("[limits]\nidle_seconds = 0\n", "b.toml:2:1: limits.idle_seconds: must be from 1"),
        ("[admin]\ntoken = \"\"\n", "b.toml:2:1: admin.token: the token is empty"),
    ];
    for (text, wanted) in cases {
        let error = error(text);
        assert!(error.contains(wanted), "{text:?}\ngave   {error}\nwanted {wanted}");
    }
}

#[test]
fn several_mistakes_are_told_at_once() {
    let error = error("[limits]\nidle_seconds = 0\nconnect_seconds = 0\n");
    assert_eq!(error.lines().count(), 3, "{error}");
}

#[test]
fn the_environment_overrides_the_file() {
    let env = [
        ("COMMUCAT_BIND", "0.0.0.0:8443"),
        ("COMMUCAT_DOMAIN", "bridge.example"),
        ("COMMUCAT_TLS_CERT", "/c"),
        ("COMMUCAT_TLS_KEY", "/k"),
        ("COMMUCAT_PG_DSN", "postgres://u:p@h/d"),
        ("COMMUCAT_ADMIN_TOKEN", "123456"),
        ("COMMUCAT_MAX_CONNECTIONS", "7"),
        ("COMMUCAT_ALLOW_PRIVATE", "yes"),
        ("COMMUCAT_API_BIND", ""),
        ("OTHER", "x"),
    ];
    let (config, warnings) = parse(GOOD, &env).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.endpoints[0].spec.endpoint.to_string(), "0.0.0.0:8443");
    assert_eq!(config.server.domain.as_deref(), Some("bridge.example"));
    assert_eq!(config.server.tls.as_ref().unwrap().key, Path::new("/k"));
    assert_eq!(config.storage.dsn.as_ref().unwrap().expose(), "postgres://u:p@h/d");
    assert_eq!(config.admin.token.as_ref().unwrap().expose(), "123456");
    assert_eq!(config.server.max_connections, 7);
    assert!(config.egress.allow_private);
    assert_eq!(config.server.api_bind, None, "an empty variable is not set");
}

#[test]
fn a_bad_variable_is_named() {
    let error = parse(GOOD, &[("COMMUCAT_MAX_CONNECTIONS", "many")]).unwrap_err().to_string();
    assert_eq!(
        error,
        "environment variable COMMUCAT_MAX_CONNECTIONS: server.max_connections: expected u32, found a text"
    );
}

#[test]
fn a_variable_without_effect_is_told() {
    let (_config, warnings) = parse(
        GOOD,
        &[("COMMUCAT_REDIS_URL", "redis://x"), ("COMMUCAT_DOMIAN", "x"), ("COMMUCAT_STATE", "x")],
    )
    .unwrap();
    let told: Vec<_> =
        warnings.iter().map(|warning| (warning.name.as_str(), warning.message.as_str())).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].0 == "COMMUCAT_REDIS_URL" && told[0].1.contains("not built yet"));
    assert!(told[1].0 == "COMMUCAT_DOMIAN" && told[1].1.contains("COMMUCAT_DOMAIN"));
}

#[test]
fn bind_and_listen_together_are_a_mistake_in_the_file() {
    let error = error(&format!("[server]\nbind = \"0.0.0.0:1\"\n{GOOD}"));
    assert!(error.contains("b.toml:2:1: server.bind: endpoints[0].listen says this already"), "{error}");
}

#[test]
fn a_carried_endpoint_listens_where_its_carrier_does() {
    let (config, _warnings) = parse(
        "[[endpoints]]\ntransport = \"x\"\n[endpoints.via]\ntransport = \"y\"\nlisten = \"127.0.0.1:5\"\n",
        &[],
    )
    .unwrap();
    assert_eq!(config.endpoints[0].spec.endpoint.port, 5);
}

#[test]
fn secrets_are_not_printed() {
    let (config, _warnings) = parse(
        &format!("{GOOD}[admin]\ntoken = \"hunter2\"\n[storage]\ndsn = \"postgres://u:hunter2@h/d\"\n"),
        &[],
    )
    .unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let error = error(&format!("{GOOD}[admin]\ntoken = [\"hunter2\"]\n"));
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let none = std::iter::empty;
    let error = BridgeConfig::load(Some(Path::new("/nonexistent/b.toml")), none()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nonexistent/b.toml (there is no such file)");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.ini");
    std::fs::write(&path, "").unwrap();
    assert!(BridgeConfig::load(Some(&path), none()).unwrap_err().to_string().contains("ends in .toml"));
    let config = dir.path().join("b.toml");
    std::fs::write(&config, format!("{GOOD}[admin]\ntoken_file = \"/nonexistent/token\"\n")).unwrap();
    let error = BridgeConfig::load(Some(&config), none()).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/token"), "{error}");
}

#[test]
fn every_key_and_variable_is_documented() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let docs = std::fs::read_to_string(here.join("../docs/src/configuration.md")).unwrap();
    let mut missing: Vec<_> =
        form::every_key().into_iter().filter(|key| !docs.contains(&format!("`{key}`"))).collect();
    missing.extend(
        env::OVERRIDES.iter().map(|(name, _key)| format!("`{name}`")).filter(|name| !docs.contains(name)),
    );
    missing.extend(
        env::ENV_NOT_BUILT.iter().map(|(name, _)| (*name).to_owned()).filter(|name| !docs.contains(name)),
    );
    assert_eq!(missing, Vec::<String>::new());
}
